package holder

import (
	"bytes"
	"testing"
)

// FuzzParseRecord: a record that is accepted says who holds what, is written in one form only, and means the same when it is read
// again.
func FuzzParseRecord(f *testing.F) {
	f.Add("radarr", []byte(`{"version":1,"subdir":"radarr","mode":"exclusive","generation":3,"holders":[{"node":1,"name":"a","boot_id":"b","instance":"i","volumes":[{"volume":"11111111111111111111111111111111","mode":"exclusive"}],"since":"2026-03-01T12:00:00Z"}]}`))
	f.Add("", []byte(`{"version":1,"subdir":"x","holders":null}`))
	f.Add("a", []byte(`{"version":1,"subdir":"a"}{}`))
	f.Add("a", []byte(`{"version":2,"subdir":"a"}`))
	f.Fuzz(func(t *testing.T, subdir string, data []byte) {
		record, err := parseRecord(subdir, data)
		if err != nil {
			return
		}
		if subdir != "" && record.Subdir != subdir {
			t.Fatalf("the record of %q was taken for that of %q", record.Subdir, subdir)
		}
		exclusive := false
		for _, holder := range record.Holders {
			if err := holder.validate(); err != nil {
				t.Fatal(err)
			}
			exclusive = exclusive || holder.mode() == Exclusive
		}
		first, err := record.encode()
		if err != nil {
			return // too large
		}
		if (record.Mode == Exclusive) != exclusive {
			t.Fatalf("mode %q of %s", record.Mode, data)
		}
		again, err := parseRecord(record.Subdir, first)
		if err != nil {
			t.Fatalf("its own text is refused: %v\n%s", err, first)
		}
		again.Generation-- // encode counts a change
		second, err := again.encode()
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%v\n%s\n%s", err, first, second)
		}
	})
}
