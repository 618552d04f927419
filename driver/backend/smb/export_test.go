package smb

// Understood lists the options that are understood, for the tests.
func Understood() []string { return understood() }
