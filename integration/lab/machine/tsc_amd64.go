package machine

// ticks reads this processor's time stamp counter.
func ticks() uint64
