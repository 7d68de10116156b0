// Streams, events and pinned memory of the emulated device. Kernels run when they are launched; copies that
// the host does not wait for arrive as late as the rules allow, so that who forgets to wait sees NaN:
//
//     what comes down          when the host waits for an event behind it
//     what the second stream   when the first stream, or the host, waits for an event behind it
//     sends up
//
// Noted as misuse: pinned memory that changed between the request for a copy and the wait for it, or that was
// released before; and memory that the second stream writes to before it knows that the first has read what
// was there.
#pragma once

#include "tensor/cuda/backend.hpp"

namespace microtome::cuda::emulation {

// Fills in what backend.hpp says goes on while the host does.
void add_queue(Backend& backend);

// The host waits for all that a stream was asked for.
void finish_copies(const Stream& stream);

// Bytes that came from the host.
void note_upload(std::size_t bytes);
int64_t uploaded();

// How often a rule was broken so far.
int misuses();

}  // namespace microtome::cuda::emulation
