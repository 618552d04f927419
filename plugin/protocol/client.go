package protocol

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/docker/go-plugins-helpers/sdk"

	"github.com/homelab-storage/homelab-storage/driver"
)

// Client makes the operator's calls. Its methods are those of [Administration].
type Client struct {
	socket string
	http   *http.Client
}

// NewClient makes a client of the plugin behind a socket; it connects with the first call.
func NewClient(socket string) *Client {
	var dialer net.Dialer
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: &http.Client{Transport: &http.Transport{DialContext: dial}, Timeout: adminLimit + time.Minute}}
}

// Health asks for the plugin's state.
func (c *Client) Health(ctx context.Context) (driver.Health, error) {
	return ask[driver.Health](ctx, c, "Status", none{})
}

// TrashList lists removed data; entries may come with an error that says which pools are missing.
func (c *Client) TrashList(ctx context.Context, pool string) ([]driver.TrashEntry, error) {
	return ask[[]driver.TrashEntry](ctx, c, "TrashList", poolRequest{pool})
}

// TrashRestore makes a volume of removed data.
func (c *Client) TrashRestore(ctx context.Context, id, name string) error {
	_, err := ask[none](ctx, c, "TrashRestore", restoreRequest{id, name})
	return err
}

// TrashEmpty deletes removed data for good and returns how many entries.
func (c *Client) TrashEmpty(ctx context.Context, pool, id string, olderThan time.Duration) (int, error) {
	return ask[int](ctx, c, "TrashEmpty", emptyRequest{pool, id, olderThan})
}

// Holders lists who uses which directory.
func (c *Client) Holders(ctx context.Context, pool string) ([]driver.HolderRecord, error) {
	return ask[[]driver.HolderRecord](ctx, c, "Holders", poolRequest{pool})
}

// HolderOf tells who uses a volume's directory.
func (c *Client) HolderOf(ctx context.Context, volume string) (driver.HolderRecord, error) {
	return ask[driver.HolderRecord](ctx, c, "HolderOf", volumeRequest{volume})
}

// HolderBreak takes a hold away from a node, and tells what that node said.
func (c *Client) HolderBreak(ctx context.Context, volume, node string, force bool) (driver.HolderBroken, error) {
	return ask[driver.HolderBroken](ctx, c, "HolderBreak", breakRequest{volume, node, force})
}

// CatalogAdopt takes the catalog on the pool as the right one.
func (c *Client) CatalogAdopt(ctx context.Context) (driver.Repair, error) {
	return ask[driver.Repair](ctx, c, "CatalogAdopt", none{})
}

// CatalogRestore writes this node's records and credentials onto the pool.
func (c *Client) CatalogRestore(ctx context.Context) (driver.Repair, error) {
	return ask[driver.Repair](ctx, c, "CatalogRestore", none{})
}

// Drain begins to take a pool out of use on this node, or joins a drain that is going on; DrainProgress follows it.
func (c *Client) Drain(ctx context.Context, pool string, options driver.DrainOptions) (driver.DrainReport, error) {
	return ask[driver.DrainReport](ctx, c, "Drain", drainRequest{pool, options})
}

// Undrain begins to bring a drained pool back; DrainProgress follows it.
func (c *Client) Undrain(ctx context.Context, pool string) (driver.DrainReport, error) {
	return ask[driver.DrainReport](ctx, c, "Undrain", poolRequest{pool})
}

// DrainProgress waits for a while until there is more to tell than was seen.
func (c *Client) DrainProgress(ctx context.Context, pool string, seen int) (driver.DrainReport, error) {
	return ask[driver.DrainReport](ctx, c, "DrainProgress", progressRequest{pool, seen})
}

// Leave takes what the plugin has mounted and logged in to off this node, and says what that was.
func (c *Client) Leave(ctx context.Context) ([]string, error) {
	return ask[[]string](ctx, c, "Leave", none{})
}

// ask makes one call. A result may come with an error.
func ask[R any](ctx context.Context, c *Client, name string, question any) (result R, err error) {
	body, err := json.Marshal(question)
	if err != nil {
		return result, fmt.Errorf("asking for %s: %w", name, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://plugin/"+adminPrefix+name, bytes.NewReader(body))
	if err != nil {
		return result, fmt.Errorf("asking for %s: %w", name, err)
	}
	request.Header.Set("Content-Type", sdk.DefaultContentTypeV1_1)
	response, err := c.http.Do(request)
	if err != nil {
		return result, fmt.Errorf("the plugin behind %s does not answer: %w", c.socket, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return result, fmt.Errorf("the plugin behind %s does not know the call %s (%s): it is another version, or another plugin", c.socket, name, response.Status)
	}
	var answer reply[R]
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return result, fmt.Errorf("the plugin behind %s gave an answer that is not understood: %w", c.socket, err)
	}
	if answer.Err != "" {
		err = errors.New(answer.Err)
	}
	return answer.Result, err
}
