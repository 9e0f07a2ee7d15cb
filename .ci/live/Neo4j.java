import java.nio.file.Files;
import java.nio.file.Path;
import org.neo4j.configuration.GraphDatabaseSettings;
import org.neo4j.configuration.connectors.BoltConnector;
import org.neo4j.configuration.helpers.SocketAddress;
import org.neo4j.configuration.ssl.SslPolicyConfig;
import org.neo4j.configuration.ssl.SslPolicyScope;
import org.neo4j.dbms.api.DatabaseManagementServiceBuilder;

/**
 * Neo4j Community with Bolt on a loopback port: arguments are its folder, its port, certificates, and a
 * file while which is there its databases may only be read.
 */
public class Neo4j {
    public static void main(String[] args) throws Exception {
        var tls = SslPolicyConfig.forScope(SslPolicyScope.BOLT);
        var service = new DatabaseManagementServiceBuilder(Path.of(args[0]))
            .setConfig(BoltConnector.enabled, true)
            .setConfig(BoltConnector.listen_address, new SocketAddress("127.0.0.1", Integer.parseInt(args[1])))
            .setConfig(BoltConnector.encryption_level, BoltConnector.EncryptionLevel.OPTIONAL)
            .setConfig(tls.enabled, true)
            .setConfig(tls.base_directory, Path.of(args[2]))
            .setConfig(tls.trust_all, false)
            .setConfig(GraphDatabaseSettings.read_only_database_default, Files.exists(Path.of(args[3])))
            .build();
        Runtime.getRuntime().addShutdownHook(new Thread(service::shutdown));
        Thread.currentThread().join();
    }
}
