package protocol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/docker/go-plugins-helpers/volume"
	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver"
)

// FuzzBody: a call without a body has its connection closed, and any other is answered in the protocol's form: the engine reads
// nothing else. What a call is understood as is what its own text says again.
func FuzzBody(f *testing.F) {
	f.Add([]byte(`{"Name":"vol","Opts":{"class":"db"},"ID":"x"}`))
	f.Add([]byte(`{"Name":"../../etc","Opts":null}`))
	f.Add([]byte(`{"Name":1}`))
	f.Add([]byte(`[`))
	f.Add([]byte(``))
	f.Add([]byte(`{"name":"vol"}{}`))
	log := logrus.New()
	log.SetOutput(io.Discard)
	s := New(Options{LeaseWait: func() time.Duration { return 0 }, Log: logrus.NewEntry(log)})
	s.Provide(healthy())
	f.Fuzz(func(t *testing.T, body []byte) {
		understood[volume.CreateRequest](t, s, body)
		understood[volume.MountRequest](t, s, body)
		understood[volume.UnmountRequest](t, s, body)
		understood[volume.GetRequest](t, s, body)
	})
}

func understood[Q any](t *testing.T, s *Server, body []byte) {
	t.Helper()
	var got *Q
	echo := call[Q]{name: callCreate, work: func(_ context.Context, _ Service, request Q, _ driver.Engine) (any, error) {
		got = &request
		return struct{}{}, nil
	}}
	recorder := httptest.NewRecorder()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/"+callCreate, bytes.NewReader(body))
	if closed(func() { serve(s, echo, recorder, request) }) {
		if len(body) > 0 || got != nil {
			t.Fatalf("%q was not answered", body)
		}
		return
	}
	var answer struct{ Err string }
	if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil || (got == nil) != (answer.Err != "") {
		t.Fatalf("%q is answered with %q (%v)", body, recorder.Body, err)
	}
	if got == nil {
		return
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	again, err := decode(echo, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(text)))
	if err != nil && len(text) > maxBody {
		return
	}
	repeated, failed := json.Marshal(again) // no options and an empty list of them are the same
	if err = errors.Join(err, failed); err != nil || !bytes.Equal(repeated, text) {
		t.Fatalf("%q is understood as %s, and that as %s (%v)", body, text, repeated, err)
	}
}

// closed says whether work closed its connection.
func closed(work func()) (closed bool) {
	defer func() {
		cause := recover()
		if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			closed = true
		} else if cause != nil {
			panic(cause)
		}
	}()
	work()
	return false
}
