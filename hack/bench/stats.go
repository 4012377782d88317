package main

import (
	"math"
	"slices"
)

// median of some values; not a number where there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// quantile is the least of some values that at least this share of them does not exceed.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(share * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// bucket of a histogram: how many were at most so much.
type bucket struct {
	most  float64
	count float64
}

// quantileOf estimates a quantile from the buckets of a histogram, by a straight line within the bucket where it is, as
// Prometheus does. Beyond the last bound it is the last bound.
func quantileOf(buckets []bucket, share float64) float64 {
	sorted := slices.SortedFunc(slices.Values(buckets), func(a, b bucket) int { return compareFloats(a.most, b.most) })
	if len(sorted) == 0 || sorted[len(sorted)-1].count == 0 {
		return math.NaN()
	}
	rank := share * sorted[len(sorted)-1].count
	below := bucket{}
	for _, b := range sorted {
		if b.count < rank {
			below = b
			continue
		}
		if math.IsInf(b.most, 1) {
			return below.most
		}
		if b.count == below.count {
			return b.most
		}
		return below.most + (b.most-below.most)*(rank-below.count)/(b.count-below.count)
	}
	return below.most
}

// shareWithin is which share of a histogram lies at or below one of its bounds.
func shareWithin(buckets []bucket, bound float64) float64 {
	all, within := 0.0, math.NaN()
	for _, b := range buckets {
		if math.IsInf(b.most, 1) {
			all = b.count
		}
		if b.most == bound {
			within = b.count
		}
	}
	return within / all
}

func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}
