package catalog

import (
	"bytes"
	"encoding/json"
	"testing"
)

// FuzzParseHeader: a header that is accepted has its changes without a gap, and so has the one of the next generation.
func FuzzParseHeader(f *testing.F) {
	f.Add([]byte(`{"version":1,"uuid":"0123456789abcdef0123456789abcdef","generation":2,"changes":[{"generation":1,"token":"a","kind":"begin"},{"generation":2,"token":"b","kind":"put","name":"vol","id":"0123456789abcdef0123456789abcdef"}]}`))
	f.Add([]byte(`{"version":1,"uuid":"0123456789abcdef0123456789abcdef","generation":18446744073709551615,"changes":[{"generation":18446744073709551615,"kind":"rewrite"}]}`))
	f.Add([]byte(`{"version":9,"uuid":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		head, err := parseHeader(data)
		if err != nil {
			return
		}
		if head.oldest() > head.Generation || head.last().Generation != head.Generation || head.identity().Generation != head.Generation {
			t.Fatalf("accepted %s", data)
		}
		text, err := json.Marshal(head)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseHeader(text)
		if err != nil || again.identity() != head.identity() {
			t.Fatalf("its own text is read as %v, %v", again, err)
		}
		next := head.with(change{Token: "c", Kind: rewritten})
		if err := next.validate(); err != nil || next.Generation <= head.Generation || len(next.Changes) > max(maxChanges, len(head.Changes)+1) {
			t.Fatalf("after %s comes %v: %v", data, next, err)
		}
	})
}

// FuzzParseTombstone: a tombstone is accepted for the ID in its file's name alone.
func FuzzParseTombstone(f *testing.F) {
	id := "0123456789abcdef0123456789abcdef"
	f.Add(id, []byte(`{"version":1,"id":"`+id+`","name":"vol","catalog":"x","generation":4,"removed_at":"2026-03-01T12:00:00Z"}`))
	f.Add("../x", []byte(`{"version":1,"id":"../x"}`))
	f.Fuzz(func(t *testing.T, id string, data []byte) {
		stone, err := parseTombstone(id, data)
		if err == nil && (stone.ID != id || !validID(id)) {
			t.Fatalf("%s is taken for the tombstone of %q", data, id)
		}
	})
}

// FuzzMirrorLine: a line of the journal is read as it was written, and none of which anything was changed is.
func FuzzMirrorLine(f *testing.F) {
	f.Add([]byte(`00000000 {}`), uint16(3))
	f.Add([]byte(`a2b9c0ff {"bury":{"version":1,"id":"0123456789abcdef0123456789abcdef"}}`), uint16(20))
	f.Fuzz(func(t *testing.T, line []byte, at uint16) {
		change, err := parseLine(line)
		if err != nil {
			_ = json.Unmarshal(line, &change) // what the lines would say without their checksum
		}
		var text bytes.Buffer
		if err := writeLine(&text, change); err != nil {
			return // a time that JSON cannot write
		}
		written := bytes.Trim(text.Bytes(), "\n")
		again, err := parseLine(written)
		if err != nil {
			t.Fatalf("%s cannot be read: %v", written, err)
		}
		text.Reset()
		if err := writeLine(&text, again); err != nil || !bytes.Equal(bytes.Trim(text.Bytes(), "\n"), written) {
			t.Fatalf("%s becomes %s (%v)", written, text.Bytes(), err)
		}
		damaged := bytes.Clone(written)
		if place := checksumLength + int(at)%(len(damaged)-checksumLength); damaged[place] != '\n' {
			damaged[place] ^= 0x10
			if _, err := parseLine(damaged); err == nil {
				t.Fatalf("%s is taken for whole", damaged)
			}
		}
	})
}
