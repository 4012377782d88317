package transition

import "context"

// slots bound how many requests the effects of all Transitions make at the same time, so that closing access never waits
// behind them.
type slots chan struct{}

func newSlots(n int) slots { return make(slots, n) }

func (s slots) take(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err() //nolint:wrapcheck // nothing to add
	}
}
