package catalog

// texts has one copy of each text that records have in common; at 10,000 records this is a third of the memory. It is of one
// goroutine at a time: package unique, whose copies are the whole process's, took as long as the parsing of the records.
type texts map[string]string

// maxTexts bounds what is remembered. Classes, pools and nodes are few; an option's value may be another one each time.
const maxTexts = 4096

func (t texts) one(text *string) {
	if *text == "" {
		return
	}
	if known, has := t[*text]; has {
		*text = known
		return
	}
	if len(t) >= maxTexts {
		clear(t)
	}
	t[*text] = *text
}

// event replaces the texts of a record that is entered.
func (t texts) event(change event) {
	switch {
	case change.Put != nil:
		t.record(change.Put)
	case change.Lose != nil:
		t.record(change.Lose)
	}
}

// record replaces the texts that most records have in common.
func (t texts) record(record *Record) {
	location := &record.Location
	for _, text := range []*string{
		(*string)(&record.State), &record.Class, &record.Access, &record.Guard, &record.CreatedBy,
		&location.Kind, &location.Pool, &location.PoolUUID, &location.Device, &location.Credentials,
	} {
		t.one(text)
	}
	if len(record.Options) > 0 {
		options := make(map[string]string, len(record.Options))
		for key, value := range record.Options {
			t.one(&key)
			t.one(&value)
			options[key] = value
		}
		record.Options = options
	}
	for at := range record.Warnings {
		t.one(&record.Warnings[at])
	}
}
