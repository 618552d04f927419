// Package catalog keeps the records of all volumes (DESIGN D7).
package catalog
