package dist

// CommonError is an error that every process of a World has, for they have all seen the same: one needs to say it.
type CommonError struct{ Err error }

func (e *CommonError) Error() string { return e.Err.Error() }
func (e *CommonError) Unwrap() error { return e.Err }
