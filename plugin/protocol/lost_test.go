package protocol

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

// raw sends bytes and gives what comes back until the connection is closed.
func (p *plugin) raw(t *testing.T, request string) string {
	t.Helper()
	conn, err := net.Dial("unix", p.socket)
	assert.NilError(t, err)
	defer conn.Close()
	assert.NilError(t, conn.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = conn.Write([]byte(request))
	assert.NilError(t, err)
	if strings.HasSuffix(request, "half") {
		assert.NilError(t, conn.(*net.UnixConn).CloseWrite())
	}
	answer, err := io.ReadAll(bufio.NewReader(conn))
	assert.NilError(t, err)
	return string(answer)
}

func post(call, length, body string) string {
	return "POST /" + call + " HTTP/1.1\r\nHost: p\r\nContent-Length: " + length + "\r\n\r\n" + body
}

// A call whose body was lost is never answered: not one byte comes back.
func TestLostBodyIsNotAnswered(t *testing.T) {
	service := healthy()
	p := start(t, service)
	for _, name := range []string{callCreate, callRemove, callMount, callUnmount, callGet, callPath} {
		assert.Equal(t, p.raw(t, post(name, "0", "")), "", name)
		assert.Equal(t, p.raw(t, post(name, "90", `{"Name":"half`)), "", name)
	}
	assert.Equal(t, service.removed.Load(), int32(0))
	bare := strings.Replace(post(callList, "0", ""), "\r\n\r\n", "\r\nConnection: close\r\n\r\n", 1)
	assert.Assert(t, strings.HasPrefix(p.raw(t, bare), "HTTP/1.1 200 OK"))
}

// Any error of Get but "no such volume" would make the engine forget a volume.
func TestGetThatFailsIsNotAnswered(t *testing.T) {
	service := healthy()
	service.get = func(name string) (driver.Info, error) {
		if name == "p" {
			panic("slip")
		}
		return driver.Info{}, errors.New("disk on fire")
	}
	p := start(t, service)
	assert.Equal(t, p.raw(t, post(callGet, "12", `{"Name":"v"}`)), "")
	assert.Equal(t, p.raw(t, post(callGet, "12", `{"Name":"p"}`)), "")
	assert.Equal(t, p.raw(t, post(callGet, "3", `{{{`)), "")
}
