package catalog

import "maps"

// knowledge is what a node knows: the mirror in memory.
type knowledge struct {
	identity   identity
	records    map[string]Record    // by name
	names      map[string]string    // by ID
	tombstones map[string]tombstone // by ID
	lost       map[string]Record    // by ID
}

// event is one change of what a node knows, and one line of the mirror. One field is set.
type event struct {
	Identity *identity  `json:"identity,omitempty"`
	Put      *Record    `json:"put,omitempty"`
	Bury     *tombstone `json:"bury,omitempty"`
	Expire   string     `json:"expire,omitempty"` // the ID of a tombstone
	Lose     *Record    `json:"lose,omitempty"`
	Find     string     `json:"find,omitempty"` // the ID of a lost record
}

func newKnowledge() *knowledge {
	return &knowledge{
		records: map[string]Record{}, names: map[string]string{},
		tombstones: map[string]tombstone{}, lost: map[string]Record{},
	}
}

// apply takes one event over.
func (k *knowledge) apply(change event) {
	switch {
	case change.Identity != nil:
		k.identity = *change.Identity
	case change.Put != nil:
		k.put(*change.Put)
	case change.Bury != nil:
		k.bury(*change.Bury)
	case change.Expire != "":
		delete(k.tombstones, change.Expire)
	case change.Lose != nil:
		k.lost[change.Lose.ID] = *change.Lose
	case change.Find != "":
		delete(k.lost, change.Find)
	}
}

// put enters a record. Another volume that had the name without having been removed is kept as lost: nothing is forgotten.
func (k *knowledge) put(record Record) {
	if old, has := k.records[record.Name]; has && old.ID != record.ID {
		delete(k.names, old.ID)
		k.lost[old.ID] = old
	}
	if name, has := k.names[record.ID]; has && name != record.Name {
		delete(k.records, name)
	}
	delete(k.lost, record.ID)
	k.records[record.Name] = record
	k.names[record.ID] = record.Name
}

func (k *knowledge) bury(stone tombstone) {
	if name, has := k.names[stone.ID]; has {
		delete(k.names, stone.ID)
		delete(k.records, name)
	}
	delete(k.lost, stone.ID)
	k.tombstones[stone.ID] = stone
}

// byID finds a record.
func (k *knowledge) byID(id string) (Record, bool) {
	name, has := k.names[id]
	if !has {
		return Record{}, false
	}
	return k.records[name], true
}

// events are the lines of a mirror that says all of this.
func (k *knowledge) events(each func(event) error) error {
	for record := range maps.Values(k.records) {
		if err := each(event{Put: &record}); err != nil {
			return err
		}
	}
	for stone := range maps.Values(k.tombstones) {
		if err := each(event{Bury: &stone}); err != nil {
			return err
		}
	}
	for record := range maps.Values(k.lost) {
		if err := each(event{Lose: &record}); err != nil {
			return err
		}
	}
	return each(event{Identity: &k.identity})
}

// clone copies the maps; the records in them are never changed.
func (k *knowledge) clone() *knowledge {
	return &knowledge{
		identity: k.identity, records: maps.Clone(k.records), names: maps.Clone(k.names),
		tombstones: maps.Clone(k.tombstones), lost: maps.Clone(k.lost),
	}
}
