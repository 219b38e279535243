using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading.Tasks.Sources;
using Godwit.Storage.Files;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Reading;

/// <summary>A read or write on its way. Used again and again; belongs to the loop's thread but for <see cref="Execute"/>.</summary>
/// <param name="slot">Its number in the loop.</param>
internal sealed class PendingFileRequest(int slot) : IValueTaskSource, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<bool> _core;
    private ReadLoop _loop = null!;
    private LocalFile _owner = null!;
    private FileHandle _file = null!;
    private FileTransfer _transfer;
    private MemoryHandle _pin;
    private Memory<byte> _own;
    private ulong _address;
    private int _done;
    private bool _isHeld;
    private StorageException? _failure;

    public int Slot => slot;

    /// <summary>What is still to be done, for the kernel.</summary>
    public RingRequest Request => new()
    {
        Operation = _transfer.IsWrite ? IoRingCalls.OpWrite : IoRingCalls.OpRead,
        Descriptor = (int)_file.DangerousGetHandle(),
        Offset = (ulong)(_transfer.Offset + _done),
        Address = _address + (ulong)_done,
        Length = (uint)(_transfer.Length - _done),
        Tag = (ulong)slot,
    };

    /// <summary>Takes a request over.</summary>
    public unsafe ValueTask StartAsync(ReadLoop loop, LocalFile owner, FileHandle file, in FileTransfer transfer)
    {
        _isHeld = false;
        file.DangerousAddRef(ref _isHeld);
        (_loop, _owner, _file, _transfer, _done, _failure) = (loop, owner, file, transfer, 0, null);
        if (transfer.ThroughOwnMemory)
        {
            if (_own.Length < transfer.Length)
                _own = AlignedMemory.Allocate((int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)transfer.Length));
            // Pinned for good, as it was allocated.
            _address = (ulong)Unsafe.AsPointer(ref MemoryMarshal.GetReference(_own.Span));
            if (transfer.IsWrite)
                transfer.Buffer.Span.CopyTo(_own.Span);
        }
        else
        {
            _pin = transfer.Buffer.Pin();
            _address = (ulong)_pin.Pointer;
        }

        return new ValueTask(this, _core.Version);
    }

    /// <summary>Takes note of what the kernel says.</summary>
    /// <param name="result">Bytes moved, or an error number below zero.</param>
    /// <returns>True when the request is over, false to ask for the rest.</returns>
    public bool Advance(int result)
    {
        if (result is -Errno.Interrupted or -Errno.TryAgain)
            return false;
        if (result > 0)
            _done += result;
        else
            _failure = result == 0 ? Nothing() : Errno.ToException(-result, _owner.Path, _transfer.Name, _transfer.Offset + _done);
        if (_failure is not null || _done >= _transfer.Needed)
            return true;

        // Around the page cache only whole blocks can be asked for.
        _done &= -_transfer.Block;
        return false;
    }

    private StorageException Nothing() => _transfer.IsWrite
        ? Errno.ToException(Errno.Io, _owner.Path, "write", _transfer.Offset + _done)
        : _owner.PastEnd(_transfer.Offset, _transfer.Needed, _transfer.Offset + _done);

    /// <summary>Lets who waits for it go on.</summary>
    public void Finish()
    {
        _pin.Dispose();
        _pin = default;
        if (_isHeld)
            _file.DangerousRelease();
        if (_failure is null && _transfer is { ThroughOwnMemory: true, IsWrite: false })
            _own.Span.Slice(_transfer.Skipped, _transfer.Buffer.Length).CopyTo(MemoryMarshal.AsMemory(_transfer.Buffer).Span);
        if (_failure is null)
            _core.SetResult(true);
        else
            _core.SetException(_failure);
    }

    /// <summary>Does it all, waiting for the disk.</summary>
    public unsafe void Execute()
    {
        while (true)
        {
            var request = Request;
            var count = _transfer.IsWrite
                ? LibC.WriteAt(_file, (byte*)request.Address, request.Length, (long)request.Offset)
                : LibC.ReadAt(_file, (byte*)request.Address, request.Length, (long)request.Offset);
            if (Advance(count < 0 ? -Marshal.GetLastPInvokeError() : (int)count))
                break;
        }

        Finish();
    }

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);

    public void GetResult(short token)
    {
        try
        {
            _core.GetResult(token);
        }
        finally
        {
            _core.Reset();
            _loop.Return(this);
        }
    }
}
