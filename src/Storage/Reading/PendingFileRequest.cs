using System.Buffers;
using System.Threading.Tasks.Sources;
using Godwit.Storage.Files;
using Godwit.Storage.Interop;

namespace Godwit.Storage.Reading;

/// <summary>A read on its way. Used again and again; belongs to the loop's thread but for <see cref="Execute"/>.</summary>
/// <param name="slot">Its number in the loop.</param>
internal sealed class PendingFileRead(int slot) : IValueTaskSource, IThreadPoolWorkItem
{
    private ManualResetValueTaskSourceCore<bool> _core;
    private ReadLoop _loop = null!;
    private LocalFile _owner = null!;
    private FileHandle _file = null!;
    private Memory<byte> _buffer;
    private MemoryHandle _pin;
    private long _offset;
    private int _done;
    private bool _isHeld;
    private StorageException? _failure;

    public int Slot => slot;

    /// <summary>What is still to be read, for the kernel.</summary>
    public unsafe RingRequest Request => new()
    {
        Operation = IoRingCalls.OpRead,
        Descriptor = (int)_file.DangerousGetHandle(),
        Offset = (ulong)(_offset + _done),
        Address = (ulong)_pin.Pointer + (ulong)_done,
        Length = (uint)(_buffer.Length - _done),
        Tag = (ulong)slot,
    };

    /// <summary>Takes a read over.</summary>
    public ValueTask StartAsync(ReadLoop loop, LocalFile owner, FileHandle file, long offset, Memory<byte> buffer)
    {
        _isHeld = false;
        file.DangerousAddRef(ref _isHeld);
        (_loop, _owner, _file, _offset, _buffer, _done, _failure) = (loop, owner, file, offset, buffer, 0, null);
        _pin = buffer.Pin();
        return new ValueTask(this, _core.Version);
    }

    /// <summary>Takes note of what the kernel says.</summary>
    /// <param name="result">Bytes read, or an error number below zero.</param>
    /// <returns>True when the read is over, false to ask for the rest.</returns>
    public bool Advance(int result)
    {
        if (result is -Errno.Interrupted or -Errno.TryAgain)
            return false;
        if (result > 0)
            _done += result;
        else
            _failure = result == 0 ? _owner.PastEnd(_offset, _buffer.Length, _offset + _done) : Errno.ToException(-result, _owner.Path, "read", _offset + _done);
        return _failure is not null || _done == _buffer.Length;
    }

    /// <summary>Lets who waits for it go on.</summary>
    public void Finish()
    {
        _pin.Dispose();
        if (_isHeld)
            _file.DangerousRelease();
        if (_failure is null)
            _core.SetResult(true);
        else
            _core.SetException(_failure);
    }

    /// <summary>Reads, waiting for the disk.</summary>
    public unsafe void Execute()
    {
        while (true)
        {
            var request = Request;
            var count = LibC.ReadAt(_file, (byte*)request.Address, request.Length, (long)request.Offset);
            if (Advance(count < 0 ? -System.Runtime.InteropServices.Marshal.GetLastPInvokeError() : (int)count))
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
