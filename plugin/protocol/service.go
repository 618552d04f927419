package protocol

import (
	"context"
	"time"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/credential"
)

// Service is what the socket offers. A method returns when its context ends.
type Service interface {
	Volumes
	Administration
}

// Volumes are the calls of the engine.
type Volumes interface {
	Create(ctx context.Context, name string, options map[string]string) error
	Remove(ctx context.Context, name string) error
	Mount(ctx context.Context, name, id string, engine driver.Engine) (string, error)
	Unmount(ctx context.Context, name, id string) error
	// Get's error matches driver.ErrNotFound exactly when there is no such volume.
	Get(ctx context.Context, name string) (driver.Info, error)
	List(ctx context.Context) ([]driver.Info, error)
	Path(ctx context.Context, name string) (string, error)
}

// Administration are the calls of the operator. A list may come together with an error that says what is missing in it.
type Administration interface {
	Health(ctx context.Context) driver.Health
	TrashList(ctx context.Context, pool string) ([]driver.TrashEntry, error)
	TrashRestore(ctx context.Context, id, name string) error
	TrashEmpty(ctx context.Context, pool, id string, olderThan time.Duration) (int, error)
	Holders(ctx context.Context, pool string) ([]driver.HolderRecord, error)
	HolderOf(ctx context.Context, volume string) (driver.HolderRecord, error)
	HolderBreak(ctx context.Context, volume, node string, force bool) (driver.HolderBroken, error)
	// CredentialsSet and CredentialsRemove are about those of all nodes; a node's own are files that the command writes itself.
	CredentialsSet(ctx context.Context, name string, login credential.Credentials) error
	CredentialsRemove(ctx context.Context, name string) error
	CredentialsUse(ctx context.Context, name string) (driver.CredentialsUse, error)
	CredentialsTest(ctx context.Context, name, share string) ([]driver.LoginTest, error)
	CatalogAdopt(ctx context.Context) (driver.Repair, error)
	CatalogRestore(ctx context.Context) (driver.Repair, error)
	// Drain and Undrain begin what may take long, or join it, and answer at the first news; DrainProgress has more.
	Drain(ctx context.Context, pool string, options driver.DrainOptions) (driver.DrainReport, error)
	Undrain(ctx context.Context, pool string) (driver.DrainReport, error)
	DrainProgress(ctx context.Context, pool string, seen int) (driver.DrainReport, error)
	// Leave takes off this node whatever the plugin has mounted or logged in to, and says what it did.
	Leave(ctx context.Context) ([]string, error)
}
