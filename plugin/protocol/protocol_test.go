package protocol

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"gotest.tools/v3/assert"
	"gotest.tools/v3/golden"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/plugin/process"
)

// fake is a service whose answers a test sets.
type fake struct {
	Administration
	mount   func(ctx context.Context, name, id string, engine driver.Engine) (string, error)
	get     func(name string) (driver.Info, error)
	removed atomic.Int32
}

func (f *fake) Create(_ context.Context, name string, options map[string]string) error {
	return fmt.Errorf("volume %q: class %q is unknown", name, options["class"])
}

func (f *fake) Remove(context.Context, string) error {
	f.removed.Add(1)
	return nil
}

func (f *fake) Mount(ctx context.Context, name, id string, engine driver.Engine) (string, error) {
	return f.mount(ctx, name, id, engine)
}

func (f *fake) Unmount(context.Context, string, string) error { return errors.New("still in use") }

func (f *fake) Get(_ context.Context, name string) (driver.Info, error) { return f.get(name) }

func (f *fake) List(context.Context) ([]driver.Info, error) {
	return []driver.Info{{Name: "a", Mountpoint: "/mnt/volumes/a", CreatedAt: time.Unix(1, 5).In(time.FixedZone("", 3600))}, {Name: "b"}}, nil
}

func (f *fake) Path(_ context.Context, name string) (string, error) {
	return "/mnt/volumes/" + name, nil
}

func healthy() *fake {
	return &fake{
		mount: func(_ context.Context, name, _ string, _ driver.Engine) (string, error) {
			return "/mnt/volumes/" + name, nil
		},
		get: func(name string) (driver.Info, error) {
			if name == "missing" {
				return driver.Info{}, fmt.Errorf("volume %q: %w", name, driver.ErrNotFound)
			}
			return driver.Info{Name: name, Mountpoint: "/mnt/volumes/" + name, CreatedAt: time.Unix(0, 0), Status: map[string]any{"class": "db"}}, nil
		},
	}
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(text)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// plugin is a server on a real socket.
type plugin struct {
	*Server
	socket string
	log    *lines
	client *http.Client
	// counted has what the metrics are told of the last call.
	counted atomic.Pointer[error]
}

func start(t *testing.T, service Service) *plugin {
	t.Helper()
	t.Chdir(t.TempDir()) // its own path is too long for a socket's
	p := &plugin{socket: "p.sock", log: &lines{}}
	log := logrus.New()
	log.SetOutput(p.log)
	log.SetFormatter(&logrus.TextFormatter{DisableTimestamp: true})
	p.Server = New(Options{
		LeaseWait: func() time.Duration { return time.Second }, Log: logrus.NewEntry(log),
		Observe: func(_ string, _ time.Duration, err error) { p.counted.Store(&err) },
	})
	if service != nil {
		p.Provide(service)
	}
	listening, err := Listen(t.Context(), p.socket)
	assert.NilError(t, err)
	served := make(chan error, 1)
	go func() { served <- p.Serve(listening) }()
	t.Cleanup(func() {
		_ = listening.Close()
		assert.NilError(t, <-served)
	})
	p.client = NewClient(p.socket).http
	t.Cleanup(p.client.CloseIdleConnections)
	return p
}

// post gives status and body, or the error of a closed connection.
func (p *plugin) post(call, body string) (string, error) {
	response, err := p.client.Post("http://plugin/"+call, "", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.Status + " " + string(text), err
}

func (p *plugin) ask(t *testing.T, call, body string) string {
	t.Helper()
	text, err := p.post(call, body)
	assert.NilError(t, err)
	return text
}

// The bytes that the engine gets. An error has status 200, so that the engine does not put the call's name before it.
func TestAnswers(t *testing.T) {
	here, err := os.Getwd()
	assert.NilError(t, err)
	p := start(t, healthy())
	var text strings.Builder
	for _, question := range []struct{ call, body string }{
		{"Plugin.Activate", ""},
		{callCapabilities, ""},
		{callCapabilities, "{}"},
		{callList, ""},
		{callList, "{}"},
		{callCreate, `{"Name":"v","Opts":{"class":"dbx"}}`},
		{callGet, `{"Name":"v","New":1}`},
		{callGet, `{"Name":"missing"}`},
		{callPath, `{"Name":"v"}`},
		{callMount, `{"Name":"v","ID":"1"}`},
		{callUnmount, `{"Name":"v","ID":"1"}`},
		{callRemove, `{"Name":"v"}`},
		{callRemove, `{"Name":`},
		{callRemove, strings.Repeat(" ", maxBody+1)},
		{"VolumeDriver.Unknown", "{}"},
	} {
		fmt.Fprintf(&text, "%s %.40s\n  %s\n", question.call, strings.TrimSpace(question.body), strings.TrimSpace(p.ask(t, question.call, question.body)))
	}
	t.Chdir(here)
	golden.Assert(t, text.String(), "answers.golden")
}

func TestPanicBecomesAnError(t *testing.T) {
	service := healthy()
	service.mount = func(_ context.Context, _, id string, _ driver.Engine) (string, error) {
		if id == "2" {
			return "", nil
		}
		panic("slip")
	}
	p := start(t, service)
	assert.Equal(t, p.ask(t, callMount, `{"Name":"v","ID":"1"}`),
		"200 OK {\"Err\":\"homelab-storage failed inside VolumeDriver.Mount (slip): please report this with the plugin's log\"}\n")
	assert.Assert(t, strings.Contains(p.log.String(), "protocol_test.go"), "the log has no stack")
	assert.Assert(t, strings.Contains(p.ask(t, callMount, `{"Name":"v","ID":"2"}`), "has no mountpoint"))
}

// One line per call, with call, volume, id and duration.
func TestLog(t *testing.T) {
	p := start(t, healthy())
	p.ask(t, callMount, `{"Name":"v","ID":"42"}`)
	line := p.log.String()
	for _, want := range []string{"level=info", "msg=call", "call=VolumeDriver.Mount", "volume=v", "id=42", "duration_ms="} {
		assert.Assert(t, strings.Contains(line, want), "%s is not in %s", want, line)
	}
	assert.Equal(t, strings.Count(line, "\n"), 1)
}

// What failed is there with LOG_LEVEL=warn as well, still in one line. A name that the engine asks every plugin for is no failure.
func TestLogOfAFailedCall(t *testing.T) {
	for _, test := range []struct {
		call, body string
		err        error
		want       []string
	}{
		{callMount, `{"Name":"v","ID":"42"}`, errors.New("the NAS is away"), []string{"level=warning", "msg=call", "call=VolumeDriver.Mount", `error="the NAS is away"`, "volume=v", "id=42"}},
		{callMount, `{"Name":"v","ID":"42"}`, driver.ErrNotFound, []string{"level=warning", "call=VolumeDriver.Mount"}},
		{callCreate, "not JSON", nil, []string{"level=warning", "call=VolumeDriver.Create", "is not what the protocol says"}},
		{callGet, `{"Name":"v"}`, errors.New("no memory"), []string{"level=warning", "call=VolumeDriver.Get", `error="no memory"`}},
		{callGet, `{"Name":"v"}`, driver.ErrNotFound, []string{"level=info", "call=VolumeDriver.Get", "error="}},
	} {
		t.Run(test.call, func(t *testing.T) {
			service := healthy()
			service.mount = func(context.Context, string, string, driver.Engine) (string, error) { return "", test.err }
			service.get = func(string) (driver.Info, error) { return driver.Info{}, test.err }
			p := start(t, service)
			_, _ = p.post(test.call, test.body) // some errors close the connection
			line := p.log.String()
			for _, want := range test.want {
				assert.Assert(t, strings.Contains(line, want), "%s is not in %s", want, line)
			}
			assert.Equal(t, strings.Count(line, "\n"), 1)
			assert.Equal(t, *p.counted.Load() != nil, strings.Contains(line, "level=warning"), "what is counted as an error is what is warned of")
		})
	}
}

// The engine is who made the connection, whatever it says of itself.
func TestCallerIsTheConnection(t *testing.T) {
	service := healthy()
	var caller driver.Engine
	service.mount = func(_ context.Context, _, _ string, engine driver.Engine) (string, error) {
		caller = engine
		return "/m", nil
	}
	start(t, service).ask(t, callMount, `{"Name":"v","ID":"1"}`)
	assert.Equal(t, caller, process.Of(os.Getpid()))
	assert.Assert(t, caller.Started > 0)
	assert.Equal(t, parsePeer("x"), driver.Engine{})
}

// A slow Mount delays nobody, and goes on when its client hangs up.
func TestSlowMount(t *testing.T) {
	service := healthy()
	entered, release, outcome := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	service.mount = func(ctx context.Context, _, _ string, _ driver.Engine) (string, error) {
		close(entered)
		<-release
		outcome <- ctx.Err()
		return "/m", nil
	}
	p := start(t, service)
	ctx, hangUp := context.WithCancel(t.Context())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/"+callMount, strings.NewReader(`{"Name":"v","ID":"1"}`))
	assert.NilError(t, err)
	done := make(chan error, 1)
	go func() {
		response, err := p.client.Do(request)
		if err == nil {
			err = errors.Join(errors.New("answered"), response.Body.Close())
		}
		done <- err
	}()
	<-entered
	p.ask(t, callGet, `{"Name":"v"}`) // it does not wait for the Mount
	hangUp()
	assert.ErrorIs(t, <-done, context.Canceled)
	close(release)
	assert.NilError(t, <-outcome, "the client's end ended the Mount")
}

func TestManyCallsAtOnce(t *testing.T) {
	p := start(t, healthy())
	var group sync.WaitGroup
	var wrong atomic.Int32
	for i := range 100 {
		group.Go(func() {
			name := fmt.Sprintf("v%d", i)
			text, err := p.post(callMount, `{"Name":"`+name+`","ID":"1"}`)
			if err != nil || text != "200 OK {\"Mountpoint\":\"/mnt/volumes/"+name+"\"}\n" {
				wrong.Add(1)
			}
		})
	}
	group.Wait()
	assert.Equal(t, wrong.Load(), int32(0))
}
