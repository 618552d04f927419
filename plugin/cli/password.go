package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/homelab-storage/homelab-storage/mounter"
)

// password asks on a terminal without echo, or reads the first line of standard input. It ends with the context: a signal is taken by
// whoever made that, and interrupts no read.
func (s *session) password(ctx context.Context, name string) (mounter.Secret, error) {
	read, restore, err := s.passwordReader(name)
	if err != nil {
		return mounter.Secret{}, err
	}
	type result struct {
		text string
		err  error
	}
	typed := make(chan result, 1)
	go func() { // it ends with the process when nothing is typed any more
		text, err := read()
		typed <- result{text, err}
	}()
	var got result
	select {
	case got = <-typed:
	case <-ctx.Done():
	}
	restore()
	switch {
	case ctx.Err() != nil: // also when it came with the last key
		return mounter.Secret{}, fmt.Errorf("no password was stored: %w", context.Cause(ctx))
	case got.err != nil:
		return mounter.Secret{}, got.err
	case got.text == "":
		return mounter.Secret{}, errors.New("no password was given: type one, or write it to standard input")
	}
	return mounter.NewSecret(got.text), nil
}

// passwordReader is where the password comes from, and what must be done when that is over.
func (s *session) passwordReader(name string) (read func() (string, error), restore func(), err error) {
	file, ok := s.options.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return s.readLine, func() {}, nil
	}
	before, err := term.GetState(int(file.Fd()))
	if err != nil {
		return nil, nil, fmt.Errorf("reading the password: %w", err)
	}
	_, _ = fmt.Fprintf(s.options.Err, "Password of %s: ", name)
	read = func() (string, error) {
		typed, err := term.ReadPassword(int(file.Fd()))
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return string(typed), nil
	}
	return read, func() {
		_ = term.Restore(int(file.Fd()), before) // ReadPassword does so itself, but not when it is left
		_, _ = fmt.Fprintln(s.options.Err)
	}, nil
}

func (s *session) readLine() (string, error) {
	line, err := bufio.NewReader(io.LimitReader(s.options.In, 4096)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("reading the password from standard input: %w", err)
	}
	return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r"), nil
}
