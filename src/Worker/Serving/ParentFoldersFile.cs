using System.Text.Json;
using Godwit.Api;
using Godwit.Api.Workers;
using Godwit.Storage.Chains;

namespace Godwit.Worker.Serving;

/// <summary>folders.json: where the host allows the parents of differencing disks to be.</summary>
internal static class ParentFoldersFile
{
    /// <summary>Reads the file; null when the host has not written one: a worker that somebody starts by hand.</summary>
    /// <exception cref="GodwitException">It is unreadable or makes no sense.</exception>
    internal static AllowedFolders? Load(string path) =>
        Read(path) is { } folders ? new AllowedFolders(folders.Roots, folders.Except) : null;

    /// <summary>Reads what the file would say.</summary>
    /// <exception cref="GodwitException">It makes no sense.</exception>
    internal static AllowedFolders Parse(string json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, ApiJson.Default.ParentFolders) is { Roots: not null, Except: not null } folders
                ? new AllowedFolders(folders.Roots, folders.Except)
                : throw new GodwitException(ErrorCode.InvalidRequest, "there are no folders");
        }
        catch (JsonException e)
        {
            throw new GodwitException(new Problem(ErrorCode.InvalidRequest, $"cannot read the folders: {e.Message}"), e);
        }
    }

    /// <summary>Reads the file as it is; null when there is none.</summary>
    /// <exception cref="GodwitException">It is unreadable or makes no sense.</exception>
    internal static ParentFolders? Read(string path)
    {
        if (!File.Exists(path))
            return null;
        try
        {
            return JsonSerializer.Deserialize(File.ReadAllBytes(path), ApiJson.Default.ParentFolders) is { Roots: not null, Except: not null } folders
                ? folders
                : throw new GodwitException(ErrorCode.InvalidRequest, $"{path}: there are no folders");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new GodwitException(new Problem(ErrorCode.InvalidRequest, $"cannot read {path}: {e.Message}"), e);
        }
    }
}
