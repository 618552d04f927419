package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// client makes the volume protocol's calls as the engine does: HTTP over the socket, connections kept.
type client struct{ http *http.Client }

func newClient(socket string) client {
	var dialer net.Dialer
	return client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", socket)
		},
	}}}
}

// request is what any call of the protocol asks, answer what any one answers.
type request struct {
	Name string            `json:",omitempty"`
	ID   string            `json:",omitempty"`
	Opts map[string]string `json:",omitempty"`
}

type answer struct {
	Mountpoint string
	Volumes    []struct{ Name string }
	Implements []string
	Err        string
}

// call makes one call and says how long it took, from the request to the last byte of the answer.
func (c client) call(ctx context.Context, method string, asked request) (answer, time.Duration, error) {
	var told answer
	body, err := json.Marshal(asked)
	if err != nil {
		return told, 0, err
	}
	began := time.Now()
	text, err := c.post(ctx, method, body)
	took := time.Since(began)
	if err != nil {
		return told, took, fmt.Errorf("%s %s: %w", method, asked.Name, err)
	}
	if err := json.Unmarshal(text, &told); err != nil {
		return told, took, fmt.Errorf("%s %s: the answer %.200q: %w", method, asked.Name, text, err)
	}
	if told.Err != "" {
		return told, took, fmt.Errorf("%s %s: %w", method, asked.Name, errors.New(told.Err))
	}
	return told, took, nil
}

func (c client) post(ctx context.Context, method string, body []byte) ([]byte, error) {
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/"+method, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(asked)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(response.Body)
	return text, errors.Join(err, response.Body.Close())
}

// close ends idle connections, so that a stopped plugin's are not used for the next one.
func (c client) close() { c.http.CloseIdleConnections() }
