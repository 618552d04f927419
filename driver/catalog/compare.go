package catalog

import "fmt"

// course is what a node does about a header.
type course int

const (
	nothing course = iota // it is what this node knows
	follow                // read what the changes name
	readAll               // read every record
	replace               // take it all: this node has no record to lose
	freeze                // it does not continue what this node knows
)

// compare decides how a node with an identity and a number of records goes on with a header; the text says why it is
// frozen.
func compare(known identity, records int, head *header) (course, string) {
	switch {
	case known.UUID != head.UUID && records == 0:
		return replace, ""
	case known.UUID != head.UUID:
		return freeze, fmt.Sprintf("it is catalog %s, but this node knows %d volumes of catalog %s: the pool was formatted anew or is another one",
			head.UUID, records, known.UUID)
	case head.Generation < known.Generation:
		return freeze, fmt.Sprintf("its generation went back from %d to %d: the pool was rolled back to an older state",
			known.Generation, head.Generation)
	}
	if known.Generation >= head.oldest() {
		if head.Changes[known.Generation-head.oldest()].Token != known.Token {
			return freeze, fmt.Sprintf("its generation %d is not the one that this node saw: the pool was rolled back and changed since",
				known.Generation)
		}
	}
	return compareForward(known, head), ""
}

// compareForward decides for a header that continues what is known.
func compareForward(known identity, head *header) course {
	if known.Settled == head.Generation {
		return nothing
	}
	if known.Settled+1 < head.oldest() {
		return readAll
	}
	for at := known.Settled + 1; at <= head.Generation; at++ {
		if kind := head.Changes[at-head.oldest()].Kind; kind == rewritten || kind == began {
			return readAll
		}
	}
	return follow
}

// frozenText completes a reason to the sentence that an operator reads.
func frozenText(where, reason string) string {
	return fmt.Sprintf("the volume catalog at %s is not used: %s. Volumes are listed and mounted from this node's copy, and none is "+
		"created or removed. Mount the right pool, or run \"docker homelab catalog restore\" to write this node's copy into it, "+
		"or \"docker homelab catalog adopt\" to take it as it is", where, reason)
}
