package remote

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/yamux"
)

// The operations of a request.
const (
	opExec = "exec"
	opPut  = "put"
	opDial = "dial"
)

// The kinds of a frame.
const (
	frameRequest byte = iota + 1
	frameInput
	frameOutput
	frameError
	frameStatus
)

const (
	headerSize = 5
	// chunkSize is how much input or output goes into one frame.
	chunkSize = 32 << 10
	// maxPayload bounds what a frame may claim, so that a broken stream is an error and not an
	// allocation of 4 GiB.
	maxPayload = 1 << 20
)

// request is what a client asks for; which fields count depends on Op.
type request struct {
	Op      string `json:"op"`
	Script  string `json:"script,omitempty"`
	Path    string `json:"path,omitempty"`
	Mode    uint32 `json:"mode,omitempty"`
	Network string `json:"network,omitempty"`
	Address string `json:"address,omitempty"`
}

// status ends the server's part: the exit code of a command, or why the request failed.
type status struct {
	Code  int    `json:"code"`
	Error string `json:"error,omitempty"`
}

func (s status) err() error {
	if s.Error == "" {
		return nil
	}
	return fmt.Errorf("remote: %s", s.Error)
}

func writeFrame(w io.Writer, kind byte, payload []byte) error {
	frame := make([]byte, headerSize, headerSize+len(payload))
	frame[0] = kind
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

func writeJSON(w io.Writer, kind byte, value any) error {
	payload, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return writeFrame(w, kind, payload)
}

func readFrame(r io.Reader) (byte, []byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	length := binary.BigEndian.Uint32(header[1:])
	if length > maxPayload {
		return 0, nil, fmt.Errorf("remote: frame of %d bytes, at most %d are allowed", length, maxPayload)
	}
	payload := make([]byte, length)
	_, err := io.ReadFull(r, payload)
	return header[0], payload, err
}

// readJSON reads one frame that must be of the given kind.
func readJSON(r io.Reader, kind byte, value any) error {
	got, payload, err := readFrame(r)
	if err != nil {
		return err
	}
	if got != kind {
		return fmt.Errorf("remote: frame of kind %d where %d belongs", got, kind)
	}
	return json.Unmarshal(payload, value)
}

// frameWriter turns a byte stream into frames of one kind. Several share a stream, each write
// being one frame under the lock.
type frameWriter struct {
	lock *sync.Mutex
	w    io.Writer
	kind byte
}

// Write sends p as one or more frames.
func (f frameWriter) Write(p []byte) (int, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	for start := 0; start < len(p); start += chunkSize {
		chunk := p[start:min(start+chunkSize, len(p))]
		if err := writeFrame(f.w, f.kind, chunk); err != nil {
			return start, err
		}
	}
	return len(p), nil
}

// multiplexing returns yamux settings for a link that never breaks but may stand still: a paused
// guest answers nothing for minutes, and that must not end its session.
func multiplexing() *yamux.Config {
	config := yamux.DefaultConfig()
	config.EnableKeepAlive = false
	config.StreamOpenTimeout = 0
	config.ConnectionWriteTimeout = time.Minute
	config.LogOutput = io.Discard
	return config
}
