package backend

import "time"

// TrashEntry is the data of one removed volume in a pool's trash.
type TrashEntry struct {
	ID      string    `json:"id"` // <time>-<name>, the folder's name in the trash
	Pool    string    `json:"pool"`
	Volume  string    `json:"volume"`
	Subdir  string    `json:"subdir"`
	Class   string    `json:"class,omitempty"`
	Removed time.Time `json:"removed"`
	Expires time.Time `json:"expires,omitzero"`
}
