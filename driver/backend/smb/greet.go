package smb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
)

// greetLimit is how long a server may take to answer a greeting: one whose disks have to spin up takes some seconds.
const greetLimit = 15 * time.Second

// The first bytes of an SMB message behind its length: MS-SMB2 2.2.1.1, MS-SMB 2.2.3.1.
const (
	magicSMB2 = "\xfeSMB"
	magicSMB1 = "\xffSMB"
)

// greeting is an SMB2 NEGOTIATE (MS-SMB2 2.2.3) that offers 2.0.2, 2.1, 3.0 and 3.0.2.
func greeting() []byte {
	dialects := []uint16{0x0202, 0x0210, 0x0300, 0x0302}
	header := make([]byte, 64)
	copy(header, magicSMB2)
	binary.LittleEndian.PutUint16(header[4:], 64)  // the header's size
	binary.LittleEndian.PutUint16(header[14:], 31) // credits
	body := make([]byte, 36, 36+2*len(dialects))
	binary.LittleEndian.PutUint16(body, 36) // the structure's size
	binary.LittleEndian.PutUint16(body[2:], uint16(len(dialects)))
	binary.LittleEndian.PutUint16(body[4:], 1) // signing is known
	for _, dialect := range dialects {
		body = binary.LittleEndian.AppendUint16(body, dialect)
	}
	length := binary.BigEndian.AppendUint32(nil, uint32(len(header)+len(body)))
	return append(append(length, header...), body...)
}

// What a server says to SMB 2 that cannot be used; [syscall.EHOSTDOWN] is one that says nothing.
var (
	errOld  = errors.New("no SMB 2")
	errEnds = errors.New("the server ended the connection")
)

// greet asks a server for SMB 2 before the kernel does, which needs 6 s for one that does not speak it and 21.6 s for one that says
// nothing, says the same of both, and has all other mounts wait meanwhile (FACTS 4). Here nobody waits but who wants the share: until
// latest at most. What is no answer to SMB at all is left to the kernel.
func (b *Backend) greet(parent context.Context, address netip.Addr, port string, latest time.Time) error {
	ctx, cancel := context.WithDeadline(parent, earlier(time.Now().Add(greetLimit), latest))
	defer cancel()
	connection, err := b.connect(ctx, address, port)
	if err != nil {
		return err
	}
	defer func() { _ = connection.Close() }()
	end := context.AfterFunc(ctx, func() { _ = connection.Close() })
	defer end()
	answer := make([]byte, 8)
	if _, err = connection.Write(greeting()); err == nil {
		_, err = io.ReadFull(connection, answer)
	}
	switch {
	case err == nil && string(answer[4:]) == magicSMB1:
		return errOld
	case err == nil:
		return nil
	case ctx.Err() != nil: // or the caller left, who will not say that the server hangs
		return syscall.EHOSTDOWN
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errEnds
	}
	return nil
}

// connect dials a server that accepted a connection a moment ago.
func (b *Backend) connect(ctx context.Context, address netip.Addr, port string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return b.dial(ctx, "tcp", net.JoinHostPort(address.String(), port))
}

func earlier(one, other time.Time) time.Time {
	if one.Before(other) {
		return one
	}
	return other
}

// explainGreeting says what an answer to a greeting means; there is nothing to say of a good one.
func (b *Backend) explainGreeting(s share, address netip.Addr, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errOld):
		return &backend.Failure{Err: err, Text: fmt.Sprintf("%s: the server %s speaks only SMB 1, which is insecure: enable SMB 3 on it", s.device, s.server)}
	case errors.Is(err, errEnds):
		return &backend.Failure{Away: true, Err: err, Text: fmt.Sprintf("%s: the server %s ends the connection when SMB 2 is spoken to it: its SMB service is "+
			"just being started, speaks only SMB 1 (enable SMB 3 on it), or does not allow this node's address", s.device, s.server)}
	case errors.Is(err, syscall.EHOSTDOWN):
		return b.explain(s, syscall.EHOSTDOWN)
	}
	return b.explainReach(s, []netip.Addr{address}, err)
}
