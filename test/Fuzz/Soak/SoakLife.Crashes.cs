using Godwit.Storage;
using Godwit.Testing.Files;

namespace Godwit.Fuzz.Soak;

/// <content>Openings and crashes.</content>
internal sealed partial class SoakLife
{
    // As many states are judged at each power cut; the life goes on from the last one.
    private const int DrawsPerCut = 2;

    private async ValueTask ReopenAsync()
    {
        counts.Reopens++;
        await _disk.DisposeAsync();
        _model.Flush();
        _file.Reopen();
        await OpenAsync();
        await CheckWholeAsync();
    }

    /// <summary>What a reader sees of the file as it is now, through its log too. Nothing is changed.</summary>
    private async ValueTask LookAsync()
    {
        var image = _file.AfterKill(_file.EventCount);
        await using var reader = await format.OpenAsync(image.Reopen(readOnly: true), true, _boot, NewGuid);
        Judge(await DiskWalk.ReadAllAsync(reader, _random), reader.Length, powerCut: false, torn: null, "a reader");
    }

    private async ValueTask CheckWholeAsync() =>
        Judge(await DiskWalk.ReadAllAsync(_disk, _random), _disk.Length, powerCut: false, torn: null, "at rest");

    /// <summary>The process dies between two requests; the computer lives on, and nothing was flushed by that.</summary>
    private async ValueTask KillAsync()
    {
        counts.Kills++;
        _file.Reopen();
        await OpenAsync();
        await CheckWholeAsync();
    }

    private async ValueTask PowerCutAsync()
    {
        for (var draw = 0; draw < DrawsPerCut; draw++)
        {
            var left = _random.Next(4) switch { 0 => PowerCut.FlushedOnly, 1 => PowerCut.Everything, _ => PowerCut.RandomSubset };
            var image = _file.AfterPowerCut(_file.EventCount, left, _random.Next());
            if (draw < DrawsPerCut - 1)
                await JudgeCopyAsync(image, torn: null);
            else
                await GoOnFromAsync(image, powerCut: true, torn: null);
        }
    }

    /// <summary>The process dies, or the power fails, somewhere inside a request.</summary>
    private async ValueTask CrashInsideAsync(bool powerCut)
    {
        var zeroes = _random.Next(3) == 0;
        var change = NewChange(zeroes);
        var start = _file.EventCount;
        if (zeroes)
            await _disk.WriteZeroesAsync(change.First * Sector, change.Count * Sector, WriteFlags.None, None);
        else
            await WriteAsync(change, forced: _random.Next(3) == 0);
        var at = _random.Next(start, _file.EventCount + 1);
        if (powerCut)
        {
            await JudgeCopyAsync(_file.AfterPowerCut(at, PowerCut.RandomSubset, _random.Next()), change);
            await GoOnFromAsync(_file.AfterPowerCut(at, PowerCut.RandomSubset, _random.Next()), powerCut: true, change);
            return;
        }

        counts.Kills++;
        var inside = at < _file.EventCount && _random.Next(2) == 0;
        await GoOnFromAsync(inside ? _file.AfterKillInside(at, _random.Next()) : _file.AfterKill(at), powerCut: false, change);
    }

    /// <summary>Opens a copy of a possible state after a power cut, judges it, and shows it to other programs now and then.</summary>
    private async ValueTask JudgeCopyAsync(MemoryFile image, Change? torn)
    {
        counts.PowerCuts++;
        var copy = image.Copy();
        await using (var disk = await format.OpenAsync(copy, false, NewGuid(), NewGuid))
            Judge(await DiskWalk.ReadAllAsync(disk, _random), disk.Length, powerCut: true, torn, "a copy after a power cut");
        if (tools is not null)
            await tools.ShowAsync(format, image, copy, (found, length) => _model.Judge(found, length, powerCut: true, torn), counts);
    }

    private async ValueTask GoOnFromAsync(MemoryFile image, bool powerCut, Change? torn)
    {
        if (powerCut)
        {
            counts.PowerCuts++;
            _boot = NewGuid();
        }

        await StartAsync(image);
        var found = await DiskWalk.ReadAllAsync(_disk, _random);
        Judge(found, _disk.Length, powerCut, torn, powerCut ? "after a power cut" : "after a kill");

        // What a kill left is in the kernel, and stable only with the next flush.
        if (!powerCut)
            await _disk.FlushAsync(None);
        _model.Adopt(found, _disk.Length);
    }

    private void Judge(IReadOnlyDictionary<long, long> found, long length, bool powerCut, Change? torn, string when)
    {
        if (_model.Judge(found, length, powerCut, torn) is string wrong)
            throw new SoakFailure($"{when}: {wrong}");
    }
}
