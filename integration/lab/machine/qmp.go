package machine

import (
	"context"
	"encoding/json"
	"fmt"
)

// Pause stops the machine's processors; its guest notices nothing but the clock afterwards.
func (m *Machine) Pause(ctx context.Context) error { return m.monitor(ctx, "stop") }

// Resume continues a paused machine.
func (m *Machine) Resume(ctx context.Context) error { return m.monitor(ctx, "cont") }

// message is what QEMU's monitor sends: a greeting, an event, or the answer to a command.
type message struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Description string `json:"desc"`
	} `json:"error"`
}

// monitor runs one command of the QEMU Machine Protocol (qemu-qmp-ref(7)).
func (m *Machine) monitor(ctx context.Context, command string) error {
	conn, err := m.dial(ctx, "qmp")
	if err != nil {
		return fmt.Errorf("machine %s: %s: %w", m.name, command, err)
	}
	defer conn.Close() //nolint:errcheck // the answer has been read
	detach := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer detach()
	answers := json.NewDecoder(conn)
	for _, execute := range []string{"qmp_capabilities", command} {
		if _, err := fmt.Fprintf(conn, `{"execute": %q}`, execute); err != nil {
			return fmt.Errorf("machine %s: %s: %w", m.name, execute, err)
		}
		if err := awaitReturn(answers); err != nil {
			return fmt.Errorf("machine %s: %s: %w", m.name, execute, err)
		}
	}
	return nil
}

// awaitReturn skips the greeting and events before the answer to a command.
func awaitReturn(answers *json.Decoder) error {
	for {
		var got message
		switch err := answers.Decode(&got); {
		case err != nil:
			return err
		case got.Error != nil:
			return fmt.Errorf("qemu answers %q", got.Error.Description)
		case got.Return != nil:
			return nil
		}
	}
}
