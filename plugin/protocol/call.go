package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	"github.com/docker/go-plugins-helpers/sdk"
	"github.com/docker/go-plugins-helpers/volume"
	"github.com/sirupsen/logrus"

	"github.com/homelab-storage/homelab-storage/driver"
)

// maxBody bounds a request, in bytes; the engine's largest is a Create with long options.
const maxBody = 1 << 20

// call is one route. Q is its request.
type call[Q any] struct {
	name string // also the path
	// bare says that the engine rightly sends no body.
	bare bool
	// fields are for the log.
	fields func(Q) logrus.Fields
	// work does it. The result is answered as it is.
	work func(ctx context.Context, service Service, request Q, caller driver.Engine) (any, error)
	// undo takes work back that succeeded after its client had hung up; nil when the work is to stay.
	undo func(ctx context.Context, service Service, request Q) error
	// hush says that an error must not be answered: the connection is closed.
	hush func(error) bool
	// both says that an error does not replace the result.
	both bool
}

// route makes a call answer on the socket.
func route[Q any](s *Server, c call[Q]) {
	s.handler.HandleFunc("/"+c.name, func(w http.ResponseWriter, r *http.Request) {
		if !s.begin() {
			panic(http.ErrAbortHandler)
		}
		defer s.end()
		serve(s, c, w, r)
	})
}

func serve[Q any](s *Server, c call[Q], w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	log := s.options.Log.WithField("call", c.name)
	request, err := decode(c, r)
	if errors.Is(err, errLostBody) {
		log.WithError(err).Info("call closed")
		panic(http.ErrAbortHandler)
	}
	var result any
	if err == nil {
		if c.fields != nil {
			log = log.WithFields(c.fields(request))
		}
		// Not the connection, the deadline ends a call: the engine sends no Unmount after a Mount that it gave up on.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), s.deadline(c.name))
		defer cancel()
		result, err = perform(ctx, s, c, request, parsePeer(r.RemoteAddr), log)
		if err == nil && c.undo != nil && r.Context().Err() != nil {
			err = abandon(ctx, s, c, request)
		}
	}
	took := time.Since(began)
	if s.options.Observe != nil {
		s.options.Observe(c.name, took, counted(c.name, err))
	}
	log = log.WithField("duration_ms", float64(took.Microseconds())/1000)
	if err != nil {
		log = log.WithError(err)
	}
	say := log.Info
	if failed(c.name, err) {
		say = log.Warn
	}
	say("call")
	answer(w, c, result, err)
}

// failed says whether a call's line is to be there with LOG_LEVEL=warn as well. That there is no such volume is an answer: the engine
// asks every plugin for the name of each new volume (FACTS 1).
func failed(name string, err error) bool {
	return err != nil && (name != callGet || !errors.Is(err, driver.ErrNotFound))
}

// counted is the error that a call's metrics have.
func counted(name string, err error) error {
	if failed(name, err) {
		return err
	}
	return nil
}

// abandon takes back what nobody waits for any more: the engine gave the call up, counts it as failed, and never undoes it.
func abandon[Q any](ctx context.Context, s *Server, c call[Q], request Q) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.deadline(callUnmount))
	defer cancel()
	service, err := s.await(ctx)
	if err == nil {
		err = c.undo(ctx, service, request)
	}
	if err != nil {
		return fmt.Errorf("the client hung up, and undoing the call failed: %w", err)
	}
	return errors.New("the client hung up before the call was done; it was undone")
}

// answer writes the result or the error; an error that must not be answered closes the connection.
func answer[Q any](w http.ResponseWriter, c call[Q], result any, err error) {
	switch {
	case err != nil && c.hush != nil && c.hush(err):
		panic(http.ErrAbortHandler)
	case err != nil && (!c.both || result == nil):
		result = volume.NewErrorResponse(strings.TrimSpace(err.Error()))
	}
	sdk.EncodeResponse(plainPaths{w}, result, false)
}

// hostRoot is where a managed plugin finds the host's files (DESIGN D2).
var hostRoot = regexp.MustCompile(`/proc/[0-9]+/root/`)

// plainPaths writes an answer with the host's paths as a person knows them. Errors of the file system have them otherwise.
type plainPaths struct{ http.ResponseWriter }

func (w plainPaths) Write(text []byte) (int, error) {
	if _, err := w.ResponseWriter.Write(hostRoot.ReplaceAll(text, []byte("/"))); err != nil {
		return 0, err
	}
	return len(text), nil
}

// errLostBody says that the request's body did not arrive, or not all of it.
var errLostBody = errors.New("the request came without its body")

// decode reads the request.
func decode[Q any](c call[Q], r *http.Request) (Q, error) {
	var request Q
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return request, fmt.Errorf("%w: %w", errLostBody, err)
	case len(body) == 0 && c.bare:
		return request, nil
	case len(body) == 0:
		return request, errLostBody
	case len(body) > maxBody:
		return request, fmt.Errorf("the request of %s is larger than 1 MiB", c.name)
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return request, fmt.Errorf("the request of %s is not what the protocol says: %w", c.name, err)
	}
	return request, nil
}

// perform waits for the service and does the work; a panic becomes an error.
func perform[Q any](ctx context.Context, s *Server, c call[Q], request Q, caller driver.Engine, log *logrus.Entry) (result any, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			log.WithFields(logrus.Fields{"panic": fmt.Sprint(cause), "stack": string(debug.Stack())}).Error("call panicked")
			result, err = nil, fmt.Errorf("homelab-storage failed inside %s (%v): please report this with the plugin's log", c.name, cause)
		}
	}()
	service, err := s.await(ctx)
	if err != nil {
		return nil, err
	}
	return c.work(ctx, service, request, caller)
}
