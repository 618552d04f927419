package driver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/catalog"
	"github.com/homelab-storage/homelab-storage/driver/holder"
)

// replyLimit is how long an answer to another node may look into what is asked. With the pause between two looks for questions it is
// within [holder.AskLimit], and leaves time to write the answer: one that comes later would be taken for a plugin that does not run.
const replyLimit = 5 * time.Second

// HolderBreak takes a volume's hold away from a node that is gone for good. A node that is not proven to be gone is asked whether it
// still uses the volume (DESIGN D8): the hold of a container that is long gone is given back there; else the refusal says what uses it.
// With force it is asked for the answer's sake alone.
func (d *Driver) HolderBreak(ctx context.Context, volume, node string, force bool) (HolderBroken, error) {
	directory, err := d.held(ctx, volume)
	if err != nil {
		return HolderBroken{}, err
	}
	err = d.holders.Break(ctx, directory, node, false)
	switch {
	case err == nil || errors.Is(err, holder.ErrNone):
		return HolderBroken{}, err
	case force:
		return d.breakAnyway(ctx, directory, node)
	case errors.Is(err, holder.ErrLive):
		given, err := d.askFirst(ctx, directory, node, err)
		return HolderBroken{GivenBack: given}, err
	}
	return HolderBroken{}, err
}

// breakAnyway takes a hold away from a node that may use it, and tells what it said of that. One that gives the hold back is not forced.
func (d *Driver) breakAnyway(ctx context.Context, directory holder.Directory, node string) (HolderBroken, error) {
	var found HolderBroken
	use, err := d.ask(ctx, directory, node, holder.BriefAskLimit)
	switch {
	case err != nil:
		found.Unheard = err.Error()
	case use == "":
		return HolderBroken{GivenBack: true}, nil
	}
	found.Use = use
	err = d.holders.Break(ctx, directory, node, true)
	if errors.Is(err, holder.ErrNone) { // it gave it back meanwhile
		return HolderBroken{GivenBack: true}, nil
	}
	return found, err
}

// askFirst asks a node whose hold was not broken, and says whether it gave it back. If not, the refusal gets its answer.
func (d *Driver) askFirst(ctx context.Context, directory holder.Directory, node string, refusal error) (given bool, err error) {
	use, err := d.ask(ctx, directory, node, holder.AskLimit)
	switch {
	case err != nil:
		return false, fmt.Errorf("%w. Whether anything there uses it is unknown: %w", refusal, err)
	case use != "":
		return false, fmt.Errorf("%w. Its plugin says: %s", refusal, use)
	}
	return true, nil
}

// ask asks the plugin of another node what uses a directory there. It is "" when nothing does and the node's hold is over.
func (d *Driver) ask(ctx context.Context, directory holder.Directory, node string, limit time.Duration) (use string, err error) {
	use, err = d.holders.Ask(ctx, directory, node, limit)
	if err != nil || use != "" {
		return use, err
	}
	held, err := d.holders.Show(ctx, directory)
	if err != nil {
		return "", err
	}
	if slices.ContainsFunc(held.Holders, func(other holder.Holder) bool { return other.Name == node }) {
		return "it gave its own hold back, and another plugin there has one too", nil
	}
	d.log.WithField("node", node).WithField("subdir", directory.Subdir).Info("a node gave a hold back that it was asked for")
	return "", nil
}

// answers looks for questions of other nodes.
func (d *Driver) answers(ctx context.Context) {
	d.replies.begin(ctx, d.answer, alone(d.poolNames()))
}

// answer answers the question that another node asks on a pool, if there is one.
func (d *Driver) answer(ctx context.Context, name string) error {
	limited, cancel := context.WithTimeout(ctx, turnLimit)
	defer cancel()
	pool, err := d.options.Pools.Check(limited, name)
	if err != nil || pool.Standalone {
		return err
	}
	asked, ok, err := d.holders.Asked(limited, pool)
	if err != nil || !ok {
		return err
	}
	brief, end := context.WithTimeout(limited, replyLimit)
	use := d.giveUp(brief, holder.Directory{Pool: pool, Subdir: asked.Subdir})
	end()
	d.log.WithField("pool", name).WithField("subdir", asked.Subdir).WithField("use", use).Info("another node asked whether a directory is used here")
	return d.holders.Answer(limited, pool, asked, use)
}

// giveUp gives this node's holds of a directory back, unless something uses it, which is said.
func (d *Driver) giveUp(ctx context.Context, directory holder.Directory) (use string) {
	held, err := d.holders.Show(ctx, directory)
	if err != nil {
		return "it is not known: " + err.Error()
	}
	var uses, given []string
	for _, node := range held.Holders {
		if !d.holders.Own(node) && !d.holders.Former(node) {
			continue
		}
		for _, one := range node.Uses {
			if text := d.needed(ctx, directory, one.Volume); text != "" {
				uses = append(uses, text)
			} else {
				given = append(given, one.Volume)
			}
		}
	}
	d.resumePool(ctx, directory.Pool)
	for _, id := range given {
		if slices.Contains(d.holders.Pending()[directory.Pool.UUID], id) {
			uses = append(uses, fmt.Sprintf("the volume %s is not used, but its hold is not given back yet; that is tried again by itself", d.records.nameOf(id)))
		}
	}
	return strings.Join(uses, "; ")
}

// needed says what uses a volume that this node holds, or has the hold given back.
func (d *Driver) needed(ctx context.Context, directory holder.Directory, id string) string {
	record, ok := d.records.byID(id)
	if ok {
		unlock, err := d.locks.Lock(ctx, record.Name)
		if err != nil {
			return fmt.Sprintf("a call for the volume %s is going on", record.Name)
		}
		defer unlock()
		if used, err := d.settleUses(ctx, record.Name); err != nil || used {
			return d.users(ctx, record)
		}
		if err := d.releaseNow(ctx, record); err != nil {
			return fmt.Sprintf("the volume %s is not used, but its hold cannot be given back: %v", record.Name, err)
		}
	}
	if err := d.holders.Intend(directory, id); err != nil {
		return fmt.Sprintf("the volume %s is not used, but its hold cannot be given back: %v", d.records.nameOf(id), err)
	}
	return ""
}

// users names the containers that have a volume.
func (d *Driver) users(ctx context.Context, record catalog.Record) string {
	found, err := d.options.Engines.Using(ctx, []string{record.Name})
	if err != nil || len(found) == 0 {
		return fmt.Sprintf("the volume %s is mounted (docker ps --filter volume=%[1]s)", record.Name)
	}
	var names []string
	for _, one := range found {
		names = append(names, one.Name)
	}
	return fmt.Sprintf("the volume %s is used by the containers to stop there: %s", record.Name, strings.Join(names, ", "))
}
