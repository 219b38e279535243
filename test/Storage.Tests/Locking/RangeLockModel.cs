using Godwit.Storage.Locking;
using Xunit;

namespace Godwit.Storage.Tests.Locking;

/// <summary>Runs a list of steps against a lock and against the rule written down plainly.</summary>
internal sealed class RangeLockModel
{
    private readonly RangeLock _lock = new();
    private readonly List<Request> _requests = [];

    /// <summary>Steps: 0 and 1 ask for a range, 2 gives one back, 3 cancels a waiter.</summary>
    public static void Check(List<(int Step, int Start, int Length)> steps)
    {
        var model = new RangeLockModel();
        foreach (var (step, start, length) in steps)
        {
            model.Run(step, start, length);
            model.Compare();
        }

        // Everyone gets in once those before have gone.
        while (model._requests.Exists(r => r.Held))
        {
            model.Run(2, 0, 0);
            model.Compare();
        }

        Assert.Empty(model._requests);
    }

    private void Run(int step, int pick, int length)
    {
        if (step < 2)
        {
            var cancel = new CancellationTokenSource();
            _requests.Add(new Request(pick, pick + length, cancel, _lock.AcquireAsync(pick, length, cancel.Token).AsTask()));
        }
        else if (_requests.FindAll(r => r.Held == (step == 2)) is { Count: > 0 } candidates)
        {
            var chosen = candidates[pick % candidates.Count];
            _requests.Remove(chosen);
            if (step == 2)
                chosen.Task.Result.Dispose();
            else
                chosen.Cancel.Cancel();
        }

        // Requests are listed in order of arrival; the rule: in as soon as nobody listed before overlaps.
        for (var i = 0; i < _requests.Count; i++)
            _requests[i].Held |= !_requests.Take(i).Any(earlier => earlier.Overlaps(_requests[i]));
    }

    private void Compare()
    {
        foreach (var request in _requests)
            Assert.Equal(request.Held, request.Task.IsCompletedSuccessfully);
        var held = _requests.FindAll(r => r.Held);
        Assert.DoesNotContain(held, one => held.Exists(other => other != one && other.Overlaps(one)));
    }

    private sealed record Request(int Start, int End, CancellationTokenSource Cancel, Task<RangeLock.Holder> Task)
    {
        public bool Held { get; set; }

        public bool Overlaps(Request other) => Start < other.End && other.Start < End;
    }
}
