using System.Collections.Concurrent;
using Godwit.Storage.Files;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Reading;

/// <summary>
/// Lets one thread go on while the disk works: what a read of a <see cref="LocalFile"/> on this thread does not find in the page
/// cache, and all that goes around the page cache, is asked of the kernel and completes when the thread waits here.
/// </summary>
/// <remarks>Belongs to the thread that made it, until disposed. On every other thread such reads block, as they do without a loop. Uses
/// io_uring; where the kernel has none or forbids it, the thread pool reads.</remarks>
public sealed class ReadLoop : IDisposable
{
    // Twice what a connection lets wait at once, and its two descriptors.
    private const uint Entries = 130;
    private const ulong InputTag = ulong.MaxValue;
    private const ulong WakeTag = ulong.MaxValue - 1;
    private const uint PollIn = 1;

    [ThreadStatic]
    private static ReadLoop? _current;

    // Loops whose ring broke: the kernel may still write into their readers' memory, which nobody else holds on to.
    private static readonly ConcurrentBag<ReadLoop> Broken = [];

    private readonly List<PendingFileRequest> _requests = [];
    private readonly Stack<int> _spare = new();
    private readonly bool _mayUseRing;
    private IoRing? _ring;
    private bool _hasTriedRing;
    private bool _watchesWake;
    private bool _watchesInput;

    private ReadLoop(bool mayUseRing) => _mayUseRing = mayUseRing;

    /// <summary>Requests the kernel works on; while there are any, the thread has to wait with <see cref="Wait"/>.</summary>
    public int Pending { get; private set; }

    /// <summary>The kernel has no io_uring for this process: the thread pool reads.</summary>
    public bool UsesThreadPool => _hasTriedRing && _ring is null;

    internal static ReadLoop? Current => _current;

    /// <summary>Makes the loop of this thread.</summary>
    /// <param name="mayUseRing">False lets the thread pool read.</param>
    public static ReadLoop Enter(bool mayUseRing = true) => _current = new ReadLoop(mayUseRing);

    /// <summary>Waits until there is input, the other descriptor can be read, or reads have completed; completes them on this thread.</summary>
    /// <param name="wake">Descriptor that others write to, to end this.</param>
    /// <param name="input">Descriptor of the input; -1 for none.</param>
    /// <returns>Which of the two can be read.</returns>
    /// <exception cref="StorageException">The kernel refuses the ring from one call to the next.</exception>
    public (bool Wake, bool Input) Wait(int wake, int input)
    {
        var ring = _ring!;
        if (!_watchesWake)
            Watch(ring, wake, WakeTag, out _watchesWake);
        if (input >= 0 && !_watchesInput)
            Watch(ring, input, InputTag, out _watchesInput);
        ring.Wait();
        var (woken, hasInput) = (false, false);
        while (ring.TryTake(out var result))
        {
            if (result.Tag == WakeTag)
                (woken, _watchesWake) = (true, false);
            else if (result.Tag == InputTag)
                (hasInput, _watchesInput) = (true, false);
            else
                Complete((int)result.Tag, result.Result);
        }

        return (woken, hasInput);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _current = null;
        if (Pending > 0)
            Broken.Add(this);
        _ring?.Dispose();
        _ring = null;
    }

    /// <summary>Reads the rest of a buffer.</summary>
    internal ValueTask ReadAsync(LocalFile owner, FileHandle file, long offset, Memory<byte> buffer) =>
        StartAsync(owner, file, new FileTransfer(false, offset, buffer.Length, 0, buffer, ThroughOwnMemory: false, Block: 1));

    /// <summary>Moves bytes between a file and a buffer.</summary>
    internal ValueTask StartAsync(LocalFile owner, FileHandle file, in FileTransfer transfer)
    {
        if (!_hasTriedRing)
            (_ring, _hasTriedRing) = (_mayUseRing ? IoRing.TryCreate(Entries) : null, true);
        var request = Rent();
        var task = request.StartAsync(this, owner, file, transfer);
        if (_ring is null)
        {
            ThreadPool.UnsafeQueueUserWorkItem(request, preferLocal: false);
            return task;
        }

        Pending++;
        _ring.Add(request.Request);
        return task;
    }

    /// <summary>A request has been collected by who waited for it.</summary>
    internal void Return(PendingFileRequest request)
    {
        lock (_spare)
            _spare.Push(request.Slot);
    }

    private PendingFileRequest Rent()
    {
        lock (_spare)
        {
            if (_spare.TryPop(out var slot))
                return _requests[slot];
        }

        var request = new PendingFileRequest(_requests.Count);
        _requests.Add(request);
        return request;
    }

    private static void Watch(IoRing ring, int descriptor, ulong tag, out bool isWatched)
    {
        ring.Add(new RingRequest { Operation = IoRingCalls.OpPollAdd, Descriptor = descriptor, OperationFlags = PollIn, Tag = tag });
        isWatched = true;
    }

    private void Complete(int slot, int result)
    {
        if (_requests[slot].Advance(result))
        {
            Pending--;
            _requests[slot].Finish();
        }
        else
        {
            _ring!.Add(_requests[slot].Request);
        }
    }
}
