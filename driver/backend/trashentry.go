package backend

import "time"

// TrashEntry is the data of one removed volume in a pool's trash.
type TrashEntry struct {
	ID     string `json:"id"` // <time>-<name>, the folder's name in the trash
	Pool   string `json:"pool"`
	Volume string `json:"volume"`
	Subdir string `json:"subdir"`
	Class  string `json:"class,omitempty"`
	// Access, SQLite and Location are what the volume was besides. Entries of older versions have Location alone.
	Access   string    `json:"access,omitempty"`
	SQLite   bool      `json:"sqlite,omitempty"`
	Location Location  `json:"location,omitzero"`
	Removed  time.Time `json:"removed"`
	Expires  time.Time `json:"expires,omitzero"`
}
