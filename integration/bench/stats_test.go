package main

import (
	"testing"
	"time"

	"gotest.tools/v3/assert"
)

func milliseconds(values ...int) samples {
	var s samples
	for _, value := range values {
		s = append(s, time.Duration(value)*time.Millisecond)
	}
	return s
}

func TestQuantiles(t *testing.T) {
	s := milliseconds(9, 1, 8, 2, 7, 3, 6, 4, 5)
	assert.Equal(t, s.median(), 5*time.Millisecond)
	assert.Equal(t, s.quantile(0), time.Millisecond)
	assert.Equal(t, s.quantile(1), 9*time.Millisecond)
	assert.Equal(t, s[0], 9*time.Millisecond, "the order of the samples is that of the turns")
	assert.Equal(t, samples(nil).median(), time.Duration(0))
}

func TestARatioIsThatOfTheMediansInItsInterval(t *testing.T) {
	found, err := ratioOf(milliseconds(20, 22, 24, 400, 18), milliseconds(10, 11, 12, 200, 9))
	assert.NilError(t, err)
	assert.Equal(t, found.value, 2.0)
	// Both sides of a turn are drawn together, and every turn is two to one.
	assert.Equal(t, found.low, 2.0)
	assert.Equal(t, found.high, 2.0)

	found, err = ratioOf(milliseconds(10, 30, 10, 30, 20), milliseconds(20, 20, 20, 20, 20))
	assert.NilError(t, err)
	assert.Equal(t, found.value, 1.0)
	assert.Assert(t, found.low < 1 && found.high > 1, found.String())
}

func TestARatioNeedsTurns(t *testing.T) {
	_, err := ratioOf(milliseconds(1, 2), milliseconds(1))
	assert.Error(t, err, "a ratio of 2 and 1 samples")
	_, err = ratioOf(nil, nil)
	assert.Error(t, err, "a ratio of 0 and 0 samples")
}

func TestDurationsHaveThreeDigits(t *testing.T) {
	for want, given := range map[string]time.Duration{
		"87 us": 87654 * time.Nanosecond, "1.23 ms": 1234 * time.Microsecond, "144 ms": 144_400 * time.Microsecond,
		"2500 ms": 2500 * time.Millisecond, "61.0 s": 61 * time.Second,
	} {
		assert.Equal(t, short(given), want)
	}
}
