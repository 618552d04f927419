package drivertest

import (
	"fmt"
	"strings"
	"sync"

	"github.com/anishathalye/porcupine"
)

const nodes = 3

// call is one call of an engine, or the death of a machine, which ends its containers.
type call struct {
	kind   string // create, mount, unmount, remove, die, look
	volume string
	node   int
}

// answer is what came of it.
type answer struct {
	// open says that nobody knows: it has happened, or may still happen, or never will.
	open  bool
	done  bool
	there bool // of a look: the volume is listed
}

// state is one volume: the sequential truth.
type state struct {
	exists bool
	uses   [nodes]int
}

func (s state) others(node int) bool {
	for other, uses := range s.uses {
		if other != node && uses > 0 {
			return true
		}
	}
	return false
}

// exclusive says whether one node at a time may have a volume, by its name.
func exclusive(volume string) bool { return strings.HasPrefix(volume, "db") }

// step is the whole model: what a call may answer in a state, and what it makes of it.
func (s state) step(in call, out answer) (bool, state) {
	used := s.uses != [nodes]int{}
	switch in.kind {
	case "create":
		s.exists = s.exists || out.done || out.open
	case "remove":
		switch {
		case out.done && used:
			return false, s
		case out.done: // by another node just before, perhaps: what it was asked for is so
			s.exists = false
		case out.open && !used:
			s.exists = false
		}
	case "mount":
		if out.done {
			if !s.exists || exclusive(in.volume) && s.others(in.node) {
				return false, s
			}
			s.uses[in.node]++
		}
	case "unmount": // its container ended before, whatever the answer is
		if s.uses[in.node] > 0 {
			s.uses[in.node]--
		}
	case "die":
		s.uses[in.node] = 0
	case "look":
		return s.exists == out.there, s
	}
	return true, s
}

// model checks each volume by itself.
func model() porcupine.Model {
	return porcupine.Model{
		PartitionEvent: func(history []porcupine.Event) [][]porcupine.Event {
			ids, parts := map[int]string{}, map[string][]porcupine.Event{}
			for _, event := range history {
				if in, ok := event.Value.(call); ok {
					ids[event.Id] = in.volume
				}
				parts[ids[event.Id]] = append(parts[ids[event.Id]], event)
			}
			var split [][]porcupine.Event
			for _, part := range parts {
				split = append(split, part)
			}
			return split
		},
		Init: func() any { return state{} },
		Step: func(now, in, out any) (bool, any) {
			return now.(state).step(in.(call), out.(answer))
		},
	}
}

// history is what the clients saw, in order.
type history struct {
	mu     sync.Mutex // guards what follows
	events []porcupine.Event
	open   []porcupine.Event
	last   int
	done   map[string]int // calls by kind that succeeded
}

func (h *history) begin(in call) (id int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	h.events = append(h.events, porcupine.Event{ClientId: in.node, Kind: porcupine.CallEvent, Value: in, Id: h.last})
	return h.last
}

func (h *history) end(in call, id int, out answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	event := porcupine.Event{ClientId: in.node, Kind: porcupine.ReturnEvent, Value: out, Id: id}
	if out.open {
		h.open = append(h.open, event)
		return
	}
	if h.done == nil {
		h.done = map[string]int{}
	}
	if out.done {
		h.done[in.kind]++
	}
	h.events = append(h.events, event)
}

// whole ends the calls of which nobody knows at the end of all.
func (h *history) whole() []porcupine.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append(append([]porcupine.Event(nil), h.events...), h.open...)
}

// String is for the log of a history that is wrong.
func (h *history) String() string {
	var text strings.Builder
	for _, event := range h.whole() {
		fmt.Fprintf(&text, "%d %v %+v\n", event.Id, map[bool]string{false: "call", true: "answer"}[bool(event.Kind)], event.Value)
	}
	return text.String()
}
