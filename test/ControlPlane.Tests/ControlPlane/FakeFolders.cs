using Godwit.Api;
using Godwit.ControlPlane.Disks;

namespace Godwit.ControlPlane.Tests.ControlPlane;

/// <summary>A file system in memory. It outlives the daemon under test.</summary>
internal sealed class FakeFolders : IFolders
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, byte[]> _files = new(StringComparer.Ordinal);
    private readonly SortedSet<string> _folders = new(StringComparer.Ordinal) { "/", "/src", "/dst", "/denied", "/readonly", "/vms" };

    /// <summary>Called before (false) and after (true) anything changes.</summary>
    public Action<bool> Changing { get; set; } = _ => { };

    /// <summary>What is in the images.</summary>
    public FakeContents Contents { get; } = new();

    public long Available { get; set; } = 1L << 40;

    /// <summary>Files whose deletion fails.</summary>
    public HashSet<string> Stuck { get; } = [];

    /// <summary>No file can be written.</summary>
    public bool Unwritable { get; set; }

    /// <summary>Files that were made durable.</summary>
    public List<string> Synced { get; } = [];

    /// <summary>Files apart from the records of VMs.</summary>
    public string[] Images => [.. Files.Where(file => !file.StartsWith("/vms/", StringComparison.Ordinal))];

    public string[] Files
    {
        get
        {
            lock (_gate)
                return [.. _files.Keys];
        }
    }

    public string[] Folders
    {
        get
        {
            lock (_gate)
                return [.. _folders];
        }
    }

    public void AddFile(string path)
    {
        lock (_gate)
        {
            if (!_folders.Contains(Path.GetDirectoryName(path)!))
                throw new GodwitException(ErrorCode.NotFound, $"no folder for {path}");
            if (!_files.TryAdd(path, []))
                throw new GodwitException(ErrorCode.AlreadyExists, $"{path} exists");
        }
    }

    public string Resolve(string path)
    {
        if (!path.StartsWith('/'))
            throw new GodwitException(ErrorCode.InvalidRequest, $"'{path}' is not an absolute path.");
        if (path.StartsWith("/denied", StringComparison.Ordinal))
            throw new GodwitException(ErrorCode.AccessDenied, $"'{path}' is outside the allowed folders.");
        return Path.GetFullPath(path);
    }

    public string ResolveBootFile(string path) => Resolve(path);

    public bool FileExists(string path)
    {
        lock (_gate)
            return _files.ContainsKey(path);
    }

    public bool FolderExists(string path)
    {
        lock (_gate)
            return _folders.Contains(path);
    }

    public bool IsWritable(string folder) => !folder.StartsWith("/readonly", StringComparison.Ordinal);

    public long AvailableBytes(string folder) => Available;

    public string? FirstMissing(string folder)
    {
        string? missing = null;
        for (var at = folder; !FolderExists(at); at = Path.GetDirectoryName(at)!)
            missing = at;
        return missing;
    }

    public void Create(string folder)
    {
        lock (_gate)
        {
            for (var at = folder; _folders.Add(at); at = Path.GetDirectoryName(at)!)
            {
            }
        }
    }

    public void RemoveEmpty(string folder, string top)
    {
        lock (_gate)
        {
            for (var at = folder; at.StartsWith(top, StringComparison.Ordinal); at = Path.GetDirectoryName(at)!)
            {
                if (_files.Keys.Any(file => Path.GetDirectoryName(file) == at) || _folders.Any(other => other != at && Path.GetDirectoryName(other) == at))
                    return;
                _folders.Remove(at);
            }
        }
    }

    public void DeleteFile(string path)
    {
        Changing(false);
        lock (_gate)
        {
            if (!Stuck.Contains(path) && _files.Remove(path))
                Contents.Deleted(path);
        }
        Changing(true);
    }

    public void Link(string from, string to)
    {
        var content = Read(from) ?? throw new GodwitException(ErrorCode.NotFound, $"no file {from}");
        AddFile(to);
        lock (_gate)
            _files[to] = content;
    }

    public void Write(string path, ReadOnlyMemory<byte> content)
    {
        if (Unwritable)
            throw new GodwitException(ErrorCode.NoSpace, $"no room for {path}");
        Changing(false);
        Create(Path.GetDirectoryName(path)!);
        lock (_gate)
            _files[path] = content.ToArray();
        Changing(true);
    }

    public Task SyncFileAsync(string path, CancellationToken cancellationToken)
    {
        Synced.Add(path);
        return Task.CompletedTask;
    }

    public byte[]? Read(string path)
    {
        lock (_gate)
            return _files.GetValueOrDefault(path);
    }

    public IReadOnlyList<string> FindFiles(string folder, string folderName, string extension)
    {
        bool Matches(string file) => file.StartsWith(folder, StringComparison.Ordinal) && file.EndsWith(extension, StringComparison.Ordinal)
            && Path.GetFileName(Path.GetDirectoryName(file)) == folderName;
        lock (_gate)
            return [.. _files.Keys.Where(Matches)];
    }

    public void Rename(string from, string to)
    {
        Changing(false);
        lock (_gate)
        {
            AddFile(to);
            Contents.Renamed(from, to);
            _files.Remove(from);
        }
        Changing(true);
    }
}
