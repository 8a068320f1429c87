package train

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/agora-ml/agora/device"
	"github.com/agora-ml/agora/dist"
	"github.com/agora-ml/agora/nn/llama"
	"github.com/agora-ml/agora/tensor"
)

// What Config.Shard chooses.
const (
	ShardNothing   = "none"      // every process holds the whole model
	ShardWeights   = "weights"   // every process holds its part of each block's weights
	ShardOptimizer = "optimizer" // where everything trains, every process holds its part of moments and masters
)

// shards keeps the weights of a model's blocks of which each process holds one part, in the form in which they are
// stored: what ZeRO's third stage (Rajbhandari et al., 1910.02054) is to a model that does not train. It is a
// llama.BlockStore: before a block is used the processes give each other their parts.
//
// All processes must ask for the same blocks in the same order. So each makes as many passes through the model as the
// others, also where it has nothing to compute (Trainer.step, Trainer.losses); what process 0 does alone, it leads.
type shards struct {
	rank, size int
	world      *dist.Measured // nil in a plan, where nothing is sent

	blocks []int    // the bytes of each block
	ends   [][]int  // of each block, where the processes' parts of it end
	own    [][]byte // this process's part of each block
	memory *tensor.Slab

	model *llama.Model // once it is loaded
	leads bool         // this process tells the others which blocks it wants
}

// sharded is the part of the weights that this process will keep; nil: all of them.
func (r *run) sharded() *shards {
	n := r.options.processes().Size()
	if r.cfg.Shard != ShardWeights || n == 1 {
		return nil
	}
	return &shards{rank: r.options.processes().Rank(), size: n, world: r.options.World.(*dist.Measured)}
}

// Begin implements llama.BlockStore: the own part of all blocks has one piece of memory.
func (s *shards) Begin(d *tensor.Device, bytes []int) error {
	total := 0
	var begins []int
	for _, n := range bytes {
		ends := make([]int, s.size)
		for r := range ends {
			ends[r] = n / s.size * (r + 1)
		}
		ends[s.size-1] = n
		s.blocks, s.ends = append(s.blocks, n), append(s.ends, ends)
		begins = append(begins, total)
		from, to := s.part(len(s.ends) - 1)
		total += to - from
	}
	if err := s.agree(); err != nil {
		return err
	}
	if !d.KeepsScratch() { // a GPU's memory is not for what waits
		if d.IsMeta() {
			return nil
		}
		host, err := device.Open("cpu")
		if err != nil {
			return err
		}
		d.AtEnd(func() { _ = host.Close() })
		d = host
	}
	s.memory = d.NewSlab(max(total, 1))
	if err := d.Err(); err != nil || d.IsMeta() {
		return err
	}
	all := s.memory.Bytes()
	for layer, at := range begins {
		from, to := s.part(layer)
		s.own = append(s.own, all[at:at+to-from])
	}
	return nil
}

// agree refuses models of other sizes, whose parts would not fit each other.
func (s *shards) agree() error {
	if s.world == nil {
		return nil
	}
	var own []byte
	for _, n := range s.blocks {
		own = binary.LittleEndian.AppendUint64(own, uint64(n))
	}
	parts, err := s.world.AllGather(own)
	if err != nil {
		return err
	}
	for rank, part := range parts {
		if !slices.Equal(part, parts[0]) {
			return &dist.CommonError{Err: fmt.Errorf("process %d has not what process 0 has: the sizes of the model's "+
				"blocks differ", rank)}
		}
	}
	return nil
}

// part is where this process's part of a block begins and ends.
func (s *shards) part(layer int) (from, to int) {
	if s.rank > 0 {
		from = s.ends[layer][s.rank-1]
	}
	return from, s.ends[layer][s.rank]
}

// Put implements llama.BlockStore.
func (s *shards) Put(layer, at int, data []byte) error {
	begin, end := s.part(layer)
	from, to := max(at, begin), min(at+len(data), end)
	if from < to {
		copy(s.own[layer][from-begin:], data[from-at:to-at])
	}
	return nil
}

// Fetch implements llama.BlockStore.
func (s *shards) Fetch(layer int, room func() ([]byte, error)) (wait func() error) {
	from, to := s.part(layer)
	sent, announced := to-from, s.leads
	if announced {
		sent += announcementBytes
	}
	return s.world.Start(sent, func(w dist.World) error {
		all, err := room()
		if err != nil {
			return err
		}
		copy(all[from:to], s.own[layer])
		if announced {
			if err := w.Broadcast(0, announcement(layer)); err != nil {
				return err
			}
		}
		return w.Share(all, s.ends[layer])
	})
}

// An announcement is the block that process 0 wants while it leads, or endOfLead.
const announcementBytes = 8

const endOfLead = -1

func announcement(layer int) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(int64(layer)))
}

// lead has process 0 do something with the model that the others do not: they give their parts of the blocks
// until it is done.
func (s *shards) lead(do func()) error {
	m := s.model
	m.ForgetBlocks()
	defer m.ForgetBlocks()
	if s.rank == 0 {
		s.leads = true
		do()
		m.ForgetBlocks() // one may be on its way
		s.leads = false
		return s.world.Broadcast(0, announcement(endOfLead))
	}
	for {
		next := make([]byte, announcementBytes)
		if err := s.world.Broadcast(0, next); err != nil {
			return err
		}
		layer := int(int64(binary.LittleEndian.Uint64(next)))
		if layer == endOfLead {
			return nil
		}
		if layer < 0 || layer >= len(s.blocks) {
			return fmt.Errorf("want one of %d blocks of process 0 to give a part of, got number %d", len(s.blocks), layer)
		}
		if err := m.FetchBlock(layer); err != nil {
			return err
		}
	}
}

// gathered is how many bytes of blocks this process sends and receives in a pass forward and back, after the first:
// the two at the end of either direction are there already.
func (s *shards) gathered() (sent, received int) {
	if s == nil {
		return 0, 0
	}
	for layer, n := range s.blocks {
		times := 0
		if layer >= 2 { // on the way forward
			times++
		}
		if layer < len(s.blocks)-2 { // on the way back
			times++
		}
		from, to := s.part(layer)
		sent += times * (to - from)
		received += times * (n - to + from)
	}
	return sent, received
}

// leaveShards ends what is still on its way after a run, or leaves it the memory where it may never end: the others
// are told of an error that is this process's alone later.
func (r *run) leaveShards(err error) {
	if r.shards == nil || r.shards.model == nil {
		return
	}
	if _, common := errors.AsType[*dist.CommonError](err); err == nil || common {
		r.shards.world.Finish()
		return
	}
	r.shards.model.AbandonBlocks()
}
