using System.Net.Sockets;
using System.Text;

namespace Godwit.Benchmarks.Nbd;

/// <summary>The first 18 bytes that an NBD server says.</summary>
internal static class Greeting
{
    /// <summary>How long anybody waits for a server.</summary>
    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(20);

    /// <summary>Connects and reads it.</summary>
    /// <param name="path">The server's socket, which may not be there yet.</param>
    /// <returns>False when nobody listens yet.</returns>
    public static bool HasCome(string path)
    {
        // A connect that fails costs an exception; most of the wait is for the file.
        if (!File.Exists(path))
            return false;
        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = (int)Patience.TotalMilliseconds };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            var greeting = new byte[18];
            for (var got = 0; got < greeting.Length;)
            {
                var more = socket.Receive(greeting, got, greeting.Length - got, SocketFlags.None);
                got += more > 0 ? more : throw new InvalidDataException("the server hung up before its greeting");
            }

            return greeting.AsSpan().StartsWith("NBDMAGIC"u8) ? true : throw new InvalidDataException($"a greeting of {Encoding.ASCII.GetString(greeting)}");
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
