package nn

import (
	"github.com/agora-ml/agora/autograd"
	"github.com/agora-ml/agora/internal/kernels"
	"github.com/agora-ml/agora/tensor"
)

// Cache holds the keys and values that one attention layer has computed for earlier
// tokens, each [batch, slots, key heads, head size].
type Cache struct{ K, V *tensor.Tensor }

// NewCache makes room for slots tokens in each of batch rows.
func NewCache(d *tensor.Device, dt tensor.DType, batch, slots, kvHeads, headDim int) *Cache {
	c := &Cache{K: d.New(dt, batch, slots, kvHeads, headDim), V: d.New(dt, batch, slots, kvHeads, headDim)}
	// A kernel may multiply by zero what a query does not see: that must not be NaN.
	d.Run(kernels.Fill{N: c.K.Numel()}, c.K)
	d.Run(kernels.Fill{N: c.V.Numel()}, c.V)
	return c
}

// CacheUse is how the tokens of one call use a Cache: their keys and values are
// written to the slots from Slot on; then the queries see the slots that Positions
// and Segments describe.
type CacheUse struct {
	*Cache
	Slot      int
	Positions *Var // i32 [batch, seen], of the first slots; with several rows all slots are seen
	Segments  *Var // i32 [batch, seen], -1 where a slot is empty or padding
}

// add writes k and v [batch, tokens, key heads, head size] and gives the slots seen.
func (c *CacheUse) add(k, v *Var) (keys, values *Var) {
	if k.NeedsGrad() || v.NeedsGrad() {
		tensor.Panicf("attention", "keys and values that need a gradient cannot be cached: close the tape first")
	}
	return c.addOne(c.K, k), c.addOne(c.V, v)
}

func (c *CacheUse) addOne(cache *tensor.Tensor, x *Var) *Var {
	batch, slots, tokens, seen := cache.Dim(0), cache.Dim(1), x.Dim(1), c.Positions.Dim(1)
	if x.Dim(0) != batch || c.Slot < 0 || c.Slot+tokens > slots || seen > slots || batch > 1 && seen != slots {
		tensor.Panicf("attention", "%s to slot %d of the cache %s, of which %d are seen", x.Tensor(), c.Slot, cache,
			seen)
	}
	row := cache.Numel() / (batch * slots)
	cache.Device().Run(kernels.Copy{
		Rows: batch, Cols: tokens * row, XStride: tokens * row, YStride: slots * row, YOffset: c.Slot * row,
	}, cache, x.Tensor())
	return autograd.Const(cache.View(0, batch, seen, cache.Dim(2), cache.Dim(3)))
}
