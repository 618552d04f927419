package drain

import (
	"errors"
	"fmt"
	"strings"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// stays says what follows from a failure in the middle.
func stays(pool string, err error) error {
	return fmt.Errorf("%w\nPool %s stays drained on this node. Run the command again when what is in the way is gone, or, to mount it as it is: docker homelab undrain %s", err, pool, pool)
}

// inUse lists the containers that must be stopped first.
func inUse(pool string, using []Container) error {
	var text strings.Builder
	fmt.Fprintf(&text, "pool %s is in use on this node. Stop these containers, or let them be stopped and started again with --stop:", pool)
	for _, one := range using {
		fmt.Fprintf(&text, "\n  %s (image %s) has %s", one.Name, one.Image, strings.Join(one.Volumes, ", "))
		if one.Service != "" {
			fmt.Fprintf(&text, "; a task of the Swarm service %s, which starts another one: scale it down or drain the node", one.Service)
		}
	}
	return errors.New(text.String())
}

func tellVerdict(say say, verdict backend.Verdict, repair bool, err error) {
	switch {
	case verdict.Command == "":
	case verdict.Count == 0 && err == nil:
		say("%s found nothing wrong.", verdict.Command)
	case verdict.Count > 0 && repair:
		say("%s found and repaired %d:\n  %s", verdict.Command, verdict.Count, strings.Join(verdict.Findings, "\n  "))
	case verdict.Count > 0:
		say("%s found %d (--repair repairs them):\n  %s", verdict.Command, verdict.Count, strings.Join(verdict.Findings, "\n  "))
	}
}
