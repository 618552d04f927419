package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// samples are the durations of one thing, in the order in which they were measured.
type samples []time.Duration

// quantile is the smallest sample that at least this share of all samples is not above; 0 without samples.
func (s samples) quantile(share float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func (s samples) median() time.Duration { return s.quantile(0.5) }

// String is the median and the range that leaves out the tenth part at each end.
func (s samples) String() string {
	return fmt.Sprintf("%s (%s to %s)", short(s.median()), short(s.quantile(0.1)), short(s.quantile(0.9)))
}

// short prints a duration with three digits.
func short(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return fmt.Sprintf("%d us", d.Microseconds())
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	case d < 10*time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// ratio is a ratio of two medians with its 95 % interval.
type ratio struct{ value, low, high float64 }

func (r ratio) String() string { return fmt.Sprintf("%.3f (%.3f to %.3f)", r.value, r.low, r.high) }

// resamples is how often the bootstrap draws; 2,000 give the interval's ends to about a tenth of its width.
const resamples = 2000

// ratioOf divides the median of one side by that of the other. Both have as many samples, of the same turns: the bootstrap
// draws turns, so that a slow moment of the machine counts for both sides or for none.
func ratioOf(numerator, denominator samples) (ratio, error) {
	turns := len(numerator)
	if turns == 0 || turns != len(denominator) {
		return ratio{}, fmt.Errorf("a ratio of %d and %d samples", turns, len(denominator))
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // statistics, and the same samples shall give the same interval
	drawn := make([]float64, resamples)
	upper, lower := make(samples, turns), make(samples, turns)
	for i := range drawn {
		for turn := range turns {
			from := random.IntN(turns)
			upper[turn], lower[turn] = numerator[from], denominator[from]
		}
		drawn[i] = quotient(upper, lower)
	}
	slices.Sort(drawn)
	return ratio{quotient(numerator, denominator), drawn[resamples/40], drawn[resamples-1-resamples/40]}, nil
}

func quotient(numerator, denominator samples) float64 {
	return float64(numerator.median()) / float64(denominator.median())
}
