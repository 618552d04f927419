package catalog

import "context"

// Catalog is one catalog of volume records.
type Catalog struct{}

// NewID makes an identifier: 128 random bits as 32 hexadecimal digits.
func NewID() string { return "" }

// ParseRecord reads the text of the record file of one volume.
func ParseRecord(name string, data []byte) (Record, error) { return Record{}, nil }

// Open starts a catalog from its mirror. It returns before the mirror is read; the first reads wait for it.
func Open(ctx context.Context, options Options) (*Catalog, error) { return &Catalog{}, nil }

// Close gives the mirror back. Nothing is lost without it.
func (c *Catalog) Close() error { return nil }

// Attach connects the catalog to its shared folder, whose parent must be there and be proven, and refreshes it.
func (c *Catalog) Attach(ctx context.Context, sharedDir string) error { return nil }

// Detach forgets the shared folder: reads go on, writes are refused with ErrDetached.
func (c *Catalog) Detach() {}

// Get returns the record of a name, from memory.
func (c *Catalog) Get(name string) (Record, bool) { return Record{}, false }

// ByID returns the record with an ID, from memory.
func (c *Catalog) ByID(id string) (Record, bool) { return Record{}, false }

// List returns all records, sorted by name, from memory.
func (c *Catalog) List() []Record { return nil }

// Put writes a record and returns it with its new generation.
func (c *Catalog) Put(ctx context.Context, record Record) (Record, error) { return record, nil }

// Remove writes the tombstone of a volume and removes its record. An ID that is gone is success.
func (c *Catalog) Remove(ctx context.Context, id string) error { return nil }

// Refresh takes over what other nodes changed.
func (c *Catalog) Refresh(ctx context.Context) error { return nil }

// Scan reads every record of the shared folder again.
func (c *Catalog) Scan(ctx context.Context) error { return nil }

// State says how the catalog is.
func (c *Catalog) State() Status { return Status{} }

// Trouble lists the files that are not used.
func (c *Catalog) Trouble() []Problem { return nil }

// Lost lists records that this node knew and that an adopted catalog does not have.
func (c *Catalog) Lost() []Record { return nil }

// Adopt takes the shared catalog as it is. Records that it does not have are kept as lost and returned.
func (c *Catalog) Adopt(ctx context.Context) ([]Record, error) { return nil, nil }

// Restore writes what this node knows into the shared catalog. It returns how many records it wrote.
func (c *Catalog) Restore(ctx context.Context) (int, error) { return 0, nil }
