package mounter

import "errors"

// asked makes any failure an [Error] that says what was asked, keeping since when a call is in the way. A [FilesError] says it all itself.
func asked(err error, op, source, target string) error {
	if err == nil {
		return nil
	}
	if files, ok := errors.AsType[*FilesError](err); ok {
		return files
	}
	described := &Error{Op: op, Source: source, Target: target, Err: err}
	if stuck, ok := errors.AsType[*Error](err); ok {
		described.Since, described.Done, described.Err = stuck.Since, stuck.Done, stuck.Err
	}
	return described
}
