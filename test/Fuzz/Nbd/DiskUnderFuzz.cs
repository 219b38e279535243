using Godwit.Nbd;
using Godwit.Storage.Mirror;
using Godwit.Storage.Tracking;
using Godwit.Testing;

namespace Godwit.Fuzz.Nbd;

/// <summary>The disk of the server under fuzz with all a worker puts around one: a switch, points since which changes are marked, growth.</summary>
internal sealed class DiskUnderFuzz
{
    private static readonly Guid Boot = Guid.NewGuid();
    private readonly TempFolder _folder;
    private readonly byte[] _memory = new byte[SessionScript.MaxDiskSize];
    private ChangeTracker _points = new();
    private long _renewals;

    public DiskUnderFuzz(TempFolder folder)
    {
        _folder = folder;
        (Journal, Export) = Make();
    }

    /// <summary>Where everything arrives.</summary>
    public ChangeJournal Journal { get; private set; }

    /// <summary>What the server offers; no two sessions in a row have the same one, so that nothing stays of its size, its points and its writers.</summary>
    public NbdExport Export { get; private set; }

    /// <summary>Makes it what it was at first. Nobody uses it.</summary>
    public void Renew()
    {
        Journal.Wipe();
        foreach (var point in _points.Points)
            point.Dispose();
        File.Delete(PointFile);
        (Journal, Export) = Make();
    }

    private string PointFile => _folder.File($"{_renewals}.changes");

    private (ChangeJournal Journal, NbdExport Export) Make()
    {
        _renewals++;
        var journal = new ChangeJournal(SessionScript.DiskSize, _memory);
        _points = new ChangeTracker();
        _points.Restore([ChangePoint.Create("first", PointFile, SessionScript.DiskSize, Boot), ChangePoint.Lost("lost", "as a test wants it")]);
        var disk = new SwitchableDisk(journal, _points);
        return (journal, new NbdExport(SessionScript.DiskName, disk) { Resizable = true, Changes = _points });
    }
}
