using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Formats;
using Godwit.Storage.Operations;
using Godwit.Testing.Hosts;

namespace Godwit.Fuzz.Soak;

/// <content>What changes the chain itself.</content>
internal sealed partial class ChainLife
{
    private string NewPath() => _folder.File($"layer{_files++}.{format.Extension}");

    /// <summary>The leaf is written no more; a new one, at times a larger one, takes its place.</summary>
    private async ValueTask SnapshotAsync()
    {
        counts.Snapshots++;
        await _disk.DisposeAsync();
        Remember(_layers[^1]);
        var path = NewPath();
        long? size = _random.Next(4) == 0 && _model.Length < 2 * format.Size ? _model.Length + (_random.Next(1, 300) * 4096L) : null;
        var options = new ImageCreateOptions { BlockSize = format.ChildBlockSizes[_random.Next(format.ChildBlockSizes.Count)] };
        await ChildImage.CreateAsync(path, Leaf, size, options, PathMap.Empty, None);
        _layers.Add(new Layer(path));
        if (size is long grown)
        {
            _model.Grow(grown);
            _model.Flush();
        }

        await OpenAsync();
        await CheckLeafAsync();
    }

    /// <summary>Merges any range, the leaf's own included; one of three is broken off before a step and done again.</summary>
    private async ValueTask MergeAsync()
    {
        await _disk.DisposeAsync();
        Remember(_layers[^1]);
        var top = _random.Next(1, _layers.Count);
        var into = _random.Next(Math.Max(0, top - (_layers.Count - MinLayers)), top);
        var (topPath, intoPath) = (_layers[top].Path, _layers[into].Path);
        try
        {
            if (_random.Next(3) == 0)
                await BreakOffAsync(topPath, intoPath);
            var merge = await ChainMerge.PlanAsync(Leaf, topPath, intoPath, Writing, None);
            await merge.RequireNoOtherChildrenAsync(None);
            await merge.RunAsync(_ => { }, None);
        }
        catch (StorageException refused) when (refused.Kind == StorageErrorKind.Unsupported)
        {
            // The layer below cannot grow (a fixed disk, a table without room): the chain is as before.
            counts.RefusedMerges++;
            await CheckAllAsync();
            await OpenAsync();
            return;
        }

        counts.Merges++;
        for (var index = into + 1; index <= top; index++)
        {
            if (File.Exists(_layers[index].Path))
                throw new SoakFailure($"{_layers[index].Path} was merged and is still there");
        }

        _layers[into] = _layers[top] with { Path = intoPath };
        _layers.RemoveRange(into + 1, top - into);
        await CheckAllAsync();
        await OpenAsync();
    }

    private async ValueTask BreakOffAsync(string top, string into)
    {
        counts.BrokenMerges++;
        var left = _random.Next(1, 4);
        var merge = await ChainMerge.PlanAsync(Leaf, top, into, Writing, None);
        merge.BeforeStep = _ =>
        {
            if (--left == 0)
                throw new TimeoutException();
        };
        try
        {
            await merge.RunAsync(_ => { }, None);
            throw new SoakFailure("a merge that was broken off went on");
        }
        catch (TimeoutException)
        {
            // As a killed process would leave it.
        }
    }

    /// <summary>The leaf gets a layer further down as its parent; what was between them goes.</summary>
    private async ValueTask RebaseAsync()
    {
        counts.Rebases++;
        await _disk.DisposeAsync();
        Remember(_layers[^1]);
        var parent = _random.Next(MinLayers - 2, _layers.Count - 2);
        await new ChainRebase(Leaf, _layers[parent].Path, Writing).RunAsync(_ => { }, None);
        for (var index = parent + 1; index < _layers.Count - 1; index++)
            File.Delete(_layers[index].Path);
        _layers.RemoveRange(parent + 1, _layers.Count - 2 - parent);
        await CheckAllAsync();
        await OpenAsync();
    }

    private async ValueTask ReopenAsync()
    {
        counts.Reopens++;
        await _disk.DisposeAsync();
        await CheckAllAsync();
        await OpenAsync();
    }

    /// <summary>A copy of the leaf as the kernel has it while it is in use: what a killed process leaves.</summary>
    private async ValueTask KillAsync()
    {
        counts.Kills++;
        var copy = _folder.File($"killed.{format.Extension}");
        var result = await ChildProgram.RunAsync("cp", ["--sparse=always", Leaf, copy], null, None);
        if (result.ExitCode != 0)
            throw new SoakFailure(result.ToString());
        for (var pass = 0; pass < 2; pass++)
            await CheckAsync(copy, readOnly: pass == 0, SectorsNow(), _model.Length, "after a kill");
        File.Delete(copy);
    }

    private async ValueTask CheckLeafAsync()
    {
        var found = await DiskWalk.ReadAllAsync(_disk, _random);
        Compare(found, _disk.Length, SectorsNow(), _model.Length, "the leaf");
    }

    /// <summary>Every layer reads as it did when the one above was made, and none has an error.</summary>
    private async ValueTask CheckAllAsync()
    {
        Remember(_layers[^1]);
        foreach (var report in await ChainCheck.RunAsync(Leaf, new ChainOptions(), None))
        {
            if (!report.Report.IsSound)
                throw new SoakFailure($"{report.Path}: {string.Join("; ", report.Report.Findings)}");
        }

        foreach (var layer in _layers)
            await CheckAsync(layer.Path, readOnly: true, layer.Sectors, layer.Length, Path.GetFileName(layer.Path));
    }

    private async ValueTask CheckAsync(string path, bool readOnly, IReadOnlyDictionary<long, long> sectors, long length, string who)
    {
        await using var disk = (await DiskChain.OpenAsync(path, new ChainOptions { ReadOnly = readOnly }, None)).Device;
        Compare(await DiskWalk.ReadAllAsync(disk, _random), disk.Length, sectors, length, who);
    }

    private static void Compare(
        Dictionary<long, long> found, long foundLength, IReadOnlyDictionary<long, long> expected, long length, string who)
    {
        if (foundLength != length)
            throw new SoakFailure($"{who} has {foundLength} bytes instead of {length}");
        foreach (var (sector, value) in expected)
        {
            if (found.GetValueOrDefault(sector) != value)
                throw new SoakFailure($"sector {sector} of {who} holds {found.GetValueOrDefault(sector):x} instead of {value:x}");
        }

        foreach (var (sector, value) in found)
        {
            if (!expected.ContainsKey(sector))
                throw new SoakFailure($"sector {sector} of {who} holds {value:x} instead of zeroes");
        }
    }

    private void Remember(Layer layer) => _layers[_layers.IndexOf(layer)] = layer with { Sectors = SectorsNow(), Length = _model.Length };

    private Dictionary<long, long> SectorsNow() => _model.Snapshot();

    /// <summary>A layer, and what it reads as with those below it.</summary>
    private sealed record Layer(string Path)
    {
        public IReadOnlyDictionary<long, long> Sectors { get; init; } = new Dictionary<long, long>();

        public long Length { get; init; }
    }
}
