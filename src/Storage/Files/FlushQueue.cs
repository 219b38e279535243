using System.Threading.Tasks.Sources;

namespace Godwit.Storage.Files;

/// <summary>
/// Runs fdatasync on the thread pool, one at a time per file; requests that arrive meanwhile share the next one.
/// </summary>
/// <remarks>After a failure every later flush fails too: the kernel reports a lost page once and then calls it clean, so a
/// second fdatasync would succeed although the bytes are gone.</remarks>
internal sealed class FlushQueue(FileDescriptor file) : IThreadPoolWorkItem
{
    private readonly Lock _gate = new();
    private Request? _spare;
    private Request? _waiting;
    private bool _running;
    private StorageException? _failure;

    public ValueTask FlushAsync()
    {
        Request request;
        bool start;
        lock (_gate)
        {
            if (_failure is not null)
                return ValueTask.FromException(AfterFailure(_failure));
            request = _spare ?? new Request(this);
            _spare = request.Next;
            request.Next = _waiting;
            _waiting = request;
            start = !_running;
            _running = true;
        }

        if (start)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        return request.CompletionAsync();
    }

    void IThreadPoolWorkItem.Execute()
    {
        Request? batch;
        lock (_gate)
        {
            batch = _waiting;
            _waiting = null;
        }

        StorageException? failure = null;
        try
        {
            file.SyncContent();
        }
        catch (StorageException e)
        {
            failure = e;
        }
        catch (ObjectDisposedException)
        {
            failure = new StorageException(
                StorageErrorKind.Closed, "the file was closed during a flush", file.Path, operation: "flush");
        }

        bool again;
        lock (_gate)
        {
            _failure ??= failure;
            again = _running = _waiting is not null;
        }

        // The next batch starts before this one's continuations run: they may take their time.
        if (again)
            ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
        while (batch is not null)
        {
            // Completing hands the request to its awaiter, who may put it back at once.
            var next = batch.Next;
            batch.Complete(failure ?? _failure);
            batch = next;
        }
    }

    private static StorageException AfterFailure(StorageException first) => new(
        first.Kind,
        $"an earlier flush failed ({first.Reason}), so what was written since the last good one may be lost; "
        + "close the disk and check it",
        first.Path,
        operation: "flush",
        inner: first);

    private void Return(Request request)
    {
        lock (_gate)
        {
            request.Next = _spare;
            _spare = request;
        }
    }

    private sealed class Request(FlushQueue owner) : IValueTaskSource
    {
        private ManualResetValueTaskSourceCore<bool> _core;

        public Request? Next { get; set; }

        public ValueTask CompletionAsync() => new(this, _core.Version);

        public void Complete(StorageException? failure)
        {
            if (failure is null)
                _core.SetResult(true);
            else
                _core.SetException(failure);
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
                owner.Return(this);
            }
        }
    }
}
