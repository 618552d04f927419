package reference

import (
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzParse: the uses that are accepted are of the volume in the file's name, each with an ID, and are the same when written again.
func FuzzParse(f *testing.F) {
	f.Add("vol", []byte(`{"volume":"vol","volume_id":"1","uses":[{"id":"a","engine":{"pid":1,"started":2},"since":"2026-03-01T12:00:00Z"}]}`))
	f.Add("vol", []byte(`{"volume":"other","volume_id":"1","uses":[{"id":"a"}]}`))
	f.Add("vol", []byte(`{`))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		volume, err := parse(name, data)
		if err != nil {
			return
		}
		if volume.Name != name || volume.ID == "" || len(volume.Uses) == 0 {
			t.Fatalf("accepted %s as %v", data, volume)
		}
		text, err := json.Marshal(volume)
		if err != nil {
			return // a time zone that JSON cannot write
		}
		again, err := parse(name, text)
		if err != nil {
			t.Fatalf("its own text is refused: %v\n%s", err, text)
		}
		third, err := json.Marshal(again)
		if err != nil || !reflect.DeepEqual(text, third) {
			t.Fatalf("%v\n%s\n%s", err, text, third)
		}
	})
}
