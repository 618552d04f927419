package protocol

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
)

// operator records what arrives through the socket.
type operator struct {
	Volumes
	got []any
}

func (o *operator) Health(context.Context) driver.Health { return driver.Health{Version: "1"} }

func (o *operator) TrashList(_ context.Context, pool string) ([]driver.TrashEntry, error) {
	o.got = append(o.got, pool)
	return []driver.TrashEntry{{ID: "t"}}, errors.New("pool b is away")
}

func (o *operator) TrashRestore(_ context.Context, id, name string) error {
	o.got = append(o.got, id, name)
	return nil
}

func (o *operator) TrashEmpty(_ context.Context, pool, id string, olderThan time.Duration) (int, error) {
	o.got = append(o.got, pool, id, olderThan)
	return 3, nil
}

func (o *operator) Holders(_ context.Context, pool string) ([]driver.HolderRecord, error) {
	o.got = append(o.got, pool)
	return []driver.HolderRecord{{Pool: "p"}}, nil
}

func (o *operator) HolderOf(_ context.Context, volume string) (driver.HolderRecord, error) {
	o.got = append(o.got, volume)
	return driver.HolderRecord{Pool: "q"}, nil
}

func (o *operator) HolderBreak(_ context.Context, volume, node string, force bool) (driver.HolderBroken, error) {
	o.got = append(o.got, volume, node, force)
	return driver.HolderBroken{Use: "radarr"}, errors.New("still alive: open /proc/4242/root/mnt/pool/record.json: no such file")
}

func (o *operator) CatalogAdopt(context.Context) (driver.Repair, error) {
	return driver.Repair{Lost: []string{"x"}, Credentials: []string{"nas"}}, nil
}

func (o *operator) CatalogRestore(context.Context) (driver.Repair, error) {
	return driver.Repair{Records: 4}, nil
}

func (o *operator) Drain(_ context.Context, pool string, options driver.DrainOptions) (driver.DrainReport, error) {
	o.got = append(o.got, pool, options)
	return driver.DrainReport{Lines: []string{"one"}}, nil
}

func (o *operator) Undrain(_ context.Context, pool string) (driver.DrainReport, error) {
	o.got = append(o.got, pool)
	return driver.DrainReport{Lines: []string{"one", "two"}, Ended: true}, errors.New("it stays drained")
}

func (o *operator) DrainProgress(_ context.Context, pool string, seen int) (driver.DrainReport, error) {
	o.got = append(o.got, pool, seen)
	return driver.DrainReport{Ended: true}, nil
}

func (o *operator) Leave(context.Context) ([]string, error) { return []string{"done"}, nil }

// Every call of the operator arrives as it was made, and its answer comes back; a list may come with an error.
func TestClient(t *testing.T) {
	service := &operator{}
	client := NewClient(start(t, service).socket)
	t.Cleanup(client.http.CloseIdleConnections)
	ctx := t.Context()

	health, err := client.Health(ctx)
	assert.NilError(t, err)
	assert.Equal(t, health.Version, "1")
	entries, err := client.TrashList(ctx, "a")
	assert.Error(t, err, "pool b is away")
	assert.Equal(t, entries[0].ID, "t")
	assert.NilError(t, client.TrashRestore(ctx, "t", "new"))
	count, err := client.TrashEmpty(ctx, "a", "t", time.Hour)
	assert.NilError(t, err)
	assert.Equal(t, count, 3)
	held, err := client.Holders(ctx, "")
	assert.NilError(t, err)
	assert.Equal(t, held[0].Pool, "p")
	one, err := client.HolderOf(ctx, "w")
	assert.NilError(t, err)
	assert.Equal(t, one.Pool, "q")
	broken, err := client.HolderBreak(ctx, "v", "n", true)
	assert.Equal(t, broken.Use, "radarr")
	assert.Error(t, err, "still alive: open /mnt/pool/record.json: no such file")
	repair, err := client.CatalogAdopt(ctx)
	assert.NilError(t, err)
	assert.DeepEqual(t, repair, driver.Repair{Lost: []string{"x"}, Credentials: []string{"nas"}})
	repair, err = client.CatalogRestore(ctx)
	assert.NilError(t, err)
	assert.Equal(t, repair.Records, 4)
	options := driver.DrainOptions{Stop: true, Hold: true}
	report, err := client.Drain(ctx, "p", options)
	assert.NilError(t, err)
	assert.DeepEqual(t, report, driver.DrainReport{Lines: []string{"one"}})
	report, err = client.Undrain(ctx, "p")
	assert.Error(t, err, "it stays drained")
	assert.Assert(t, report.Ended && len(report.Lines) == 2)
	_, err = client.DrainProgress(ctx, "p", 2)
	assert.NilError(t, err)
	lines, err := client.Leave(ctx)
	assert.NilError(t, err)
	assert.DeepEqual(t, lines, []string{"done"})
	assert.DeepEqual(t, service.got, []any{"a", "t", "new", "a", "t", time.Hour, "", "w", "v", "n", true, "p", options, "p", "p", 2})
}

func TestClientOfNobody(t *testing.T) {
	_, err := NewClient("/nowhere/p.sock").Health(t.Context())
	assert.ErrorContains(t, err, "the plugin behind /nowhere/p.sock does not answer")

	p := start(t, healthy())
	_, err = ask[none](t.Context(), &Client{socket: p.socket, http: p.client}, "Unknown", none{})
	assert.ErrorContains(t, err, "does not know the call Unknown (404 Not Found)")
	p.handler.HandleFunc("/Homelab.Odd", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	_, err = ask[none](t.Context(), &Client{socket: p.socket, http: p.client}, "Odd", none{})
	assert.ErrorContains(t, err, "gave an answer that is not understood")
}
