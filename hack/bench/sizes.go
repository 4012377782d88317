package main

import "time"

// sizes are how many users, or objects, the measures are about.
type sizes struct {
	storms     []int         // P1, P2; P12 in the largest
	deadlines  int           // P3
	spread     time.Duration // of P3's deadlines
	cascade    int           // P4: users
	heavy      int           // P5: objects
	rest       int           // P6, P11
	restFor    time.Duration
	writes     int           // P10: in a round
	paced      time.Duration // P10: at 50 writes in a second
	present    []int         // P9; P7 and P8 with the most
	expiring   int           // P9
	lone       int           // P8
	rounds     int
	bystanders int // P12
}

// sizesFor are those of bars.md, unless less is asked for.
func sizesFor(o options) sizes {
	s := sizes{
		storms: []int{2000, 10000}, deadlines: 1000, spread: time.Minute, cascade: 2000, heavy: 10000,
		rest: 10000, restFor: o.rest, writes: 1000, paced: 20 * time.Second,
		present: []int{1000, 10000, 100000}, expiring: 1000, lone: 20000, rounds: o.rounds, bystanders: 5,
	}
	if o.quick {
		s = sizes{
			storms: []int{100, 400}, deadlines: 100, spread: 10 * time.Second, cascade: 100, heavy: 500,
			rest: 400, restFor: 15 * time.Second, writes: 200, paced: 4 * time.Second,
			present: []int{200, 400, 1000}, expiring: 100, lone: 1000, rounds: 1, bystanders: 2,
		}
	}
	if o.sizeLimit > 0 {
		for _, size := range []*int{&s.deadlines, &s.cascade, &s.heavy, &s.rest, &s.expiring, &s.lone} {
			*size = min(*size, o.sizeLimit)
		}
		s.storms, s.present = limited(s.storms, o.sizeLimit), limited(s.present, o.sizeLimit)
	}
	return s
}

// limited are sizes up to a limit, each once.
func limited(all []int, limit int) []int {
	var within []int
	for _, size := range all {
		if size = min(size, limit); len(within) == 0 || within[len(within)-1] != size {
			within = append(within, size)
		}
	}
	return within
}
