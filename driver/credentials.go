package driver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/backend"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/driver/mountoption"
	"github.com/homelab-storage/homelab-storage/driver/settings"
)

const (
	// maxTests bounds how many shares are tried at once.
	maxTests = 16
	// maxRefusals is for how many shares of a server a login is refused before it is taken for wrong.
	maxRefusals = 2
)

// CredentialsUse is what depends on credentials of one name.
type CredentialsUse struct {
	Volumes []string `json:"volumes"` // of the cluster
	Mounted []string `json:"mounted"` // those of them that are mounted on this node
	Shares  []string `json:"shares"`  // of this node's configuration, by name
}

// LoginTest is one try to log in to a share.
type LoginTest struct {
	Share   string        `json:"share"` // //server/share, or the name of one whose configuration cannot be used
	Problem string        `json:"problem,omitempty"`
	Took    time.Duration `json:"took"` // nanoseconds
}

// CredentialsSet stores credentials for all nodes, on the catalog pool. Other nodes copy them within half a minute.
func (d *Driver) CredentialsSet(ctx context.Context, name string, login credential.Credentials) error {
	pool, err := d.sharedCredentials(ctx)
	if err != nil {
		return err
	}
	return d.options.Secrets.SetAll(ctx, credentialsFolder(pool), name, login)
}

// CredentialsRemove takes the credentials of a name away from all nodes.
func (d *Driver) CredentialsRemove(ctx context.Context, name string) error {
	pool, err := d.sharedCredentials(ctx)
	if err != nil {
		return err
	}
	return d.options.Secrets.RemoveAll(ctx, credentialsFolder(pool), name)
}

// sharedCredentials is the pool that has the credentials of all nodes, proven.
func (d *Driver) sharedCredentials(ctx context.Context) (backend.Pool, error) {
	if _, ok := d.options.Settings.Current().CatalogPool(); !ok {
		return backend.Pool{}, errors.New("credentials for all nodes are kept on the catalog pool, and no pool is configured: leave --all-nodes out to keep them on this node")
	}
	pool, err := d.attachFor(ctx, d.records.cluster)
	if err != nil {
		return backend.Pool{}, err
	}
	return *pool, nil
}

// CredentialsUse tells what depends on credentials of one name.
func (d *Driver) CredentialsUse(_ context.Context, name string) (CredentialsUse, error) {
	use := CredentialsUse{Volumes: []string{}, Mounted: []string{}, Shares: []string{}}
	now := d.options.Settings.Current()
	for _, record := range d.records.list() {
		if record.Location.Credentials != name {
			continue
		}
		use.Volumes = append(use.Volumes, record.Name)
		if d.inUse(record.Name) {
			use.Mounted = append(use.Mounted, record.Name)
		}
	}
	for _, share := range now.Shares {
		if cmp.Or(share.Credentials, now.Credentials) == name && !forGuests(share) {
			use.Shares = append(use.Shares, share.Name)
		}
	}
	slices.Sort(use.Volumes)
	slices.Sort(use.Mounted)
	return use, nil
}

// forGuests says whether nobody logs in to a share: its options in the configuration say so.
func forGuests(share settings.Share) bool {
	return slices.ContainsFunc(mountoption.Split(strings.Join(share.Options, ",")), func(part mountoption.Part) bool {
		return part.Name == "guest" || part.Name == "sec" && part.Value == "none"
	})
}

// CredentialsTest logs in with credentials: to one share, as it is written for a volume, or to every share of the volumes and of the
// configuration that use them. It waits 30 s at most for each, for maxTests of them at the same time; of a server that refuses the login it
// tries only the first ones.
func (d *Driver) CredentialsTest(ctx context.Context, name, share string) ([]LoginTest, error) {
	if _, err := d.options.Secrets.Get(ctx, name); err != nil {
		return nil, err
	}
	tester, ok := d.backends[backend.CIFS].(backend.Tester)
	if !ok {
		return nil, errors.New("this plugin has no SMB storage")
	}
	locations, tests, err := d.testable(ctx, name, share)
	switch {
	case err != nil:
		return nil, err
	case len(locations)+len(tests) == 0:
		return nil, fmt.Errorf("no volume and no configured share uses the credentials %q; name a share: `docker homelab credentials test %s //server/share`", name, name)
	}
	attempts := make([]*attempt, len(locations))
	servers := map[string][]*attempt{}
	for i, location := range locations {
		attempts[i] = &attempt{location: location}
		server := storageOf(location)
		servers[server] = append(servers[server], attempts[i])
	}
	slots := make(chan struct{}, maxTests)
	var group sync.WaitGroup
	for _, ofServer := range servers {
		group.Go(func() { tryServer(ctx, tester, ofServer, slots) })
	}
	group.Wait()
	var tried []LoginTest
	for _, one := range attempts {
		tried = append(tried, one.test)
	}
	return slices.Concat(tried, tests), nil
}

// attempt is one share of a test.
type attempt struct {
	location backend.Location
	test     LoginTest
}

// tryServer logs in to shares of one server. Servers count wrong logins: when the first ones are refused the others are not tried.
func tryServer(ctx context.Context, tester backend.Tester, attempts []*attempt, slots chan struct{}) {
	refused := 0
	for refused < maxRefusals && len(attempts) > 0 {
		wrong := attempts[0].try(ctx, tester, slots)
		attempts = attempts[1:]
		if !wrong {
			break
		}
		refused++
	}
	var group sync.WaitGroup
	for _, one := range attempts {
		if refused == maxRefusals {
			one.test = LoginTest{Share: one.location.Device, Problem: fmt.Sprintf("not tried, so that the server does not lock the user out: it refused the login to %d others of its shares", refused)}
			continue
		}
		group.Go(func() { one.try(ctx, tester, slots) })
	}
	group.Wait()
}

// try logs in to a share, and says whether the server refused the login.
func (a *attempt) try(ctx context.Context, tester backend.Tester, slots chan struct{}) (refused bool) {
	slots <- struct{}{}
	defer func() { <-slots }()
	began := time.Now()
	err := tester.Test(ctx, a.location)
	a.test = LoginTest{Share: a.location.Device, Took: time.Since(began)}
	if err != nil {
		a.test.Problem = strings.TrimPrefix(err.Error(), a.location.Device+": ")
	}
	return errors.Is(err, backend.ErrLogin)
}

// testable are the shares that are tried, each once, and what is wrong with those of the configuration that cannot be.
func (d *Driver) testable(ctx context.Context, name, share string) ([]backend.Location, []LoginTest, error) {
	plan := func(share string) (backend.Location, error) {
		planned, err := d.backends[backend.CIFS].Plan(ctx, backend.Request{
			Share: share, Explicit: map[string]bool{"credentials": true}, Location: backend.Location{Kind: backend.CIFS, Credentials: name},
		})
		return planned.Location, err
	}
	if share != "" {
		location, err := plan(share)
		return []backend.Location{location}, nil, err
	}
	use, err := d.CredentialsUse(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	var locations []backend.Location
	add := func(location backend.Location) {
		location.Subdir = ""
		same := func(other backend.Location) bool {
			return strings.EqualFold(other.Device, location.Device) && slices.Equal(other.MountOptions, location.MountOptions)
		}
		if !slices.ContainsFunc(locations, same) {
			locations = append(locations, location)
		}
	}
	for _, volume := range use.Volumes {
		if record, _, ok := d.records.get(volume); ok {
			add(record.Location)
		}
	}
	var unusable []LoginTest
	for _, configured := range use.Shares {
		location, err := plan(configured)
		if err != nil {
			unusable = append(unusable, LoginTest{Share: configured, Problem: err.Error()})
			continue
		}
		add(location)
	}
	return locations, unusable, nil
}
