package main

import (
	"math"
	"testing"

	. "github.com/onsi/gomega"
)

func TestMedian(t *testing.T) {
	g := NewWithT(t)
	g.Expect(median([]float64{3, 1, 2})).To(Equal(2.0))
	g.Expect(median([]float64{4, 1, 3, 2})).To(Equal(2.5))
	g.Expect(math.IsNaN(median(nil))).To(BeTrue())
	values := []float64{3, 1, 2}
	median(values)
	g.Expect(values).To(Equal([]float64{3, 1, 2}), "the values stay as they were")
}

func TestQuantile(t *testing.T) {
	g := NewWithT(t)
	var values []float64
	for i := 100; i >= 1; i-- {
		values = append(values, float64(i))
	}
	g.Expect(quantile(values, .99)).To(Equal(99.0))
	g.Expect(quantile(values, 1)).To(Equal(100.0))
	g.Expect(quantile(values, 0)).To(Equal(1.0))
	g.Expect(quantile([]float64{7}, .99)).To(Equal(7.0))
	g.Expect(math.IsNaN(quantile(nil, .5))).To(BeTrue())
}

func TestHistograms(t *testing.T) {
	g := NewWithT(t)
	buckets := []bucket{{0.005, 0}, {0.025, 90}, {0.1, 99}, {math.Inf(1), 100}}
	g.Expect(quantileOf(buckets, .45)).To(BeNumerically("~", 0.015, 1e-9), "half of the way through the bucket")
	g.Expect(quantileOf(buckets, .945)).To(BeNumerically("~", 0.0625, 1e-9))
	g.Expect(quantileOf(buckets, .995)).To(Equal(0.1), "beyond the last bound nothing is known")
	g.Expect(shareWithin(buckets, 0.025)).To(Equal(0.9))
	g.Expect(math.IsNaN(shareWithin(buckets, 0.02))).To(BeTrue(), "which is no bound")
	g.Expect(math.IsNaN(quantileOf(nil, .5))).To(BeTrue())
}

func TestSizes(t *testing.T) {
	g := NewWithT(t)
	full := sizesFor(options{rounds: 3})
	g.Expect(full.storms).To(Equal([]int{2000, 10000}))
	g.Expect(full.present).To(Equal([]int{1000, 10000, 100000}))
	some := sizesFor(options{rounds: 3, sizeLimit: 1500})
	g.Expect(some.storms).To(Equal([]int{1500}), "each once")
	g.Expect(some.present).To(Equal([]int{1000, 1500}))
	g.Expect(some.rest).To(Equal(1500))
	g.Expect(some.rounds).To(Equal(3))
	quick := sizesFor(options{rounds: 3, quick: true})
	g.Expect(quick.rounds).To(Equal(1))
	g.Expect(quick.restFor).To(BeNumerically("<", full.spread))
}
