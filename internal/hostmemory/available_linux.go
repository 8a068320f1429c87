package hostmemory

import "os"

// Available looks at the system now.
func Available() Left { return read(os.DirFS("/")) }
