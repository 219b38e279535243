namespace Godwit.Storage.Interop;

/// <summary>An io_uring of one thread: requests are collected and handed over together, when it waits.</summary>
internal sealed unsafe class IoRing : IDisposable
{
    private const int ReadWrite = 3; // PROT_READ | PROT_WRITE
    private const int SharedPopulated = 1 | 0x8000; // MAP_SHARED | MAP_POPULATE
    private const long RingsAt = 0;
    private const long RequestsAt = 0x10000000;

    private readonly int _descriptor;
    private readonly byte* _rings;
    private readonly nuint _ringsLength;
    private readonly RingRequest* _requests;
    private readonly nuint _requestsLength;
    private readonly RingParameters _layout;
    private uint _collected;

    private IoRing(int descriptor, in RingParameters layout)
    {
        _descriptor = descriptor;
        _layout = layout;
        _ringsLength = Math.Max(
            layout.Submission.Seventh + (layout.SubmissionEntries * sizeof(uint)),
            layout.Completion.Sixth + (layout.CompletionEntries * (uint)sizeof(RingResult)));
        _requestsLength = layout.SubmissionEntries * (uint)sizeof(RingRequest);
        _rings = (byte*)IoRingCalls.Map(null, _ringsLength, ReadWrite, SharedPopulated, descriptor, RingsAt);
        _requests = (RingRequest*)IoRingCalls.Map(null, _requestsLength, ReadWrite, SharedPopulated, descriptor, RequestsAt);
    }

    private bool IsMapped => (nint)_rings != -1 && (nint)_requests != -1;

    /// <summary>Makes a ring; null where the kernel has none or forbids it.</summary>
    /// <param name="entries">Requests that can be collected.</param>
    public static IoRing? TryCreate(uint entries) =>
        TryCreate(entries, RingParameters.Clamp | RingParameters.OneThread) ?? TryCreate(entries, RingParameters.Clamp);

    /// <summary>Collects a request; hands over what has been collected when there is no room.</summary>
    public void Add(in RingRequest request)
    {
        ref var tail = ref *(uint*)(_rings + _layout.Submission.Tail);
        if (tail - Volatile.Read(ref *(uint*)(_rings + _layout.Submission.Head)) == _layout.SubmissionEntries)
            Enter(0);
        var index = tail & (_layout.SubmissionEntries - 1);
        _requests[index] = request;
        ((uint*)(_rings + _layout.Submission.Seventh))[index] = index;
        Volatile.Write(ref tail, tail + 1);
        _collected++;
    }

    /// <summary>Hands over what has been collected and waits until at least one request has ended.</summary>
    public void Wait()
    {
        // What has ended already needs no waiting, but the new ones must be on their way.
        if (HasResult && _collected == 0)
            return;
        Enter(HasResult ? 0u : 1);
    }

    /// <summary>The next request that has ended.</summary>
    public bool TryTake(out RingResult result)
    {
        result = default;
        if (!HasResult)
            return false;
        ref var head = ref *(uint*)(_rings + _layout.Completion.Head);
        result = ((RingResult*)(_rings + _layout.Completion.Sixth))[head & (_layout.CompletionEntries - 1)];
        Volatile.Write(ref head, head + 1);
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if ((nint)_rings != -1)
            _ = IoRingCalls.Unmap(_rings, _ringsLength);
        if ((nint)_requests != -1)
            _ = IoRingCalls.Unmap(_requests, _requestsLength);
        _ = LibC.Close(_descriptor);
    }

    private bool HasResult => *(uint*)(_rings + _layout.Completion.Head) != Volatile.Read(ref *(uint*)(_rings + _layout.Completion.Tail));

    private static IoRing? TryCreate(uint entries, uint flags)
    {
        var layout = new RingParameters { Flags = flags };
        var descriptor = IoRingCalls.Setup(entries, &layout);
        if (descriptor < 0)
            return null;
        var ring = new IoRing(descriptor, layout);
        if (ring.IsMapped && (layout.Features & RingParameters.SingleMap) != 0)
            return ring;
        ring.Dispose();
        return null;
    }

    private void Enter(uint wait)
    {
        while (true)
        {
            var taken = IoRingCalls.Enter(_descriptor, _collected, wait, IoRingCalls.EnterGetEvents);
            if (taken >= 0)
            {
                _collected -= (uint)taken;
                if (_collected == 0)
                    return;
                wait = 0;
                continue;
            }

            var error = System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
            if (error is not (Errno.Interrupted or Errno.TryAgain or Errno.Busy))
                throw Errno.ToException(error, "io_uring", "read");

            // Busy: results have to be taken first.
            if (error != Errno.Interrupted && HasResult)
                return;
        }
    }
}
