using Godwit.Api;
using Godwit.Api.Workers;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>The images of a disk in memory, with the rules of the worker protocol: the one that is written to first.</summary>
internal sealed class FakeChain(string path)
{
    private int _steps;
    private bool _fails;

    public List<string> Layers { get; } = [path];

    public AddedLayer? Added { get; private set; }

    public MergeStatus? Merge { get; private set; }

    /// <summary>Finds the parents, as a worker that starts does.</summary>
    public void Open(FakeFolders folders)
    {
        while (folders.Contents.ParentOf(Layers[^1]) is { } parent)
            Layers.Add(parent);
    }

    public void Add(FakeFolders folders, Guid job, string layer)
    {
        if (Added?.JobId == job)
            return;
        if (Merge is { State: MergeState.Copying })
            throw new GodwitException(ErrorCode.WrongState, "a layer is being merged");
        folders.AddFile(layer);
        folders.Contents.Over(layer, Layers[0]);
        Added = new AddedLayer(job, layer, Layers[0]);
        Layers.Insert(0, layer);
    }

    public void Start(MergeLayer request, bool fails)
    {
        if (Merge?.JobId == request.JobId && Merge.Path == request.Path)
            return;
        if (Merge is { State: not (MergeState.Merged or MergeState.Failed) })
            throw new GodwitException(ErrorCode.Busy, "another merge");
        var at = Layers.IndexOf(request.Path);
        if (at < 0 || at + 1 == Layers.Count)
            throw new GodwitException(ErrorCode.NotFound, $"{request.Path} is no layer that can be merged");
        _steps = 0;
        _fails = fails;
        Merge = new MergeStatus(request.JobId, MergeState.Copying, request.Path, Layers[at + 1], 0, 100, null);
    }

    /// <summary>One step per question.</summary>
    public void Advance(FakeFolders folders)
    {
        if (Merge is not { } merge)
            return;
        switch (merge.State)
        {
            case MergeState.Copying when _fails:
                Merge = merge with { State = MergeState.Failed, Problem = new Problem(ErrorCode.NoSpace, "The target is full.") };
                break;
            case MergeState.Copying when ++_steps < 2:
                Merge = merge with { BytesDone = 50 };
                break;
            case MergeState.Copying:
                Merge = merge with { State = MergeState.Finishing, BytesDone = 100 };
                break;
            case MergeState.Finishing:
                folders.Contents.Merged(merge.Path, merge.Target);
                Layers.Remove(merge.Path);
                Merge = merge with { State = MergeState.Removing };
                break;
            case MergeState.Removing:
                folders.DeleteFile(merge.Path);
                Merge = merge with { State = MergeState.Merged };
                break;
        }
    }

    public void Cancel(Guid job)
    {
        if (Merge?.JobId != job)
            return;
        if (Merge.State is not (MergeState.Copying or MergeState.Failed))
            throw new GodwitException(ErrorCode.WrongState, "too late");
        Merge = null;
    }

    public void Forget(Guid job)
    {
        if (Merge?.JobId != job)
            return;
        if (Merge.State is not (MergeState.Merged or MergeState.Failed))
            throw new GodwitException(ErrorCode.WrongState, "under way");
        Merge = null;
    }
}
