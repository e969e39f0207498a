// Node, with nothing but its own http: the body is collected, parsed, and printed again without the
// five fields.
'use strict';
const http = require('node:http');

const [port, upstream] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });

const server = http.createServer((request, response) => {
    const options = {
        host: '127.0.0.1',
        port: upstream,
        method: request.method,
        path: request.url,
        headers: request.headers,
        agent,
    };
    const asked = http.request(options, (answer) => {
        const chunks = [];
        answer.on('data', (chunk) => chunks.push(chunk));
        answer.on('end', () => {
            const document = JSON.parse(Buffer.concat(chunks));
            delete document.customer.email;
            delete document.customer.phone;
            delete document.customer.birth_date;
            delete document.customer.address.street;
            delete document.payment.iban;
            const body = JSON.stringify(document);
            response.writeHead(answer.statusCode, {
                'content-type': 'application/json',
                'content-length': Buffer.byteLength(body),
            });
            response.end(body);
        });
    });
    asked.on('error', () => response.destroy());
    asked.end();
});
server.listen(port, '127.0.0.1');
